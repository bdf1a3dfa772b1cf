//! Decisions as text, in the form of Calico's own traces.

use std::fmt;

use super::{Leg, Step, StepAction};

impl fmt::Display for StepAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allow => "Allow",
            Self::Deny => "Deny",
            Self::Pass => "Pass",
            Self::Log => "Log",
        })
    }
}

impl fmt::Display for Step {
    /// `tier|namespace|policy|rule|action`; the rule is -1 at the end of a tier.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = &self.at;
        write!(f, "{}|{}|{}|", at.tier, at.namespace, at.policy)?;
        match at.rule {
            Some(rule) => write!(f, "{rule}")?,
            None => f.write_str("-1")?,
        }
        write!(f, "|{}", self.action)
    }
}

impl Leg {
    /// The steps that ended a tier or the leg, joined by ` ; `. Rules that only log are left out,
    /// as Calico does.
    #[must_use]
    pub fn trace(&self) -> String {
        let steps: Vec<String> = self
            .steps
            .iter()
            .filter(|step| step.action != StepAction::Log)
            .map(Step::to_string)
            .collect();
        steps.join(" ; ")
    }
}
