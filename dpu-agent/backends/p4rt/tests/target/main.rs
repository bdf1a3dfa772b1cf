//! The back end over real sockets: against a small server with the manners of several targets, and
//! against bmv2 where it is installed.

#[cfg(test)]
mod bmv2;
#[cfg(test)]
mod fake;
#[cfg(test)]
mod served;
