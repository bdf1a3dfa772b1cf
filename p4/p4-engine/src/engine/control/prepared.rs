//! Entries that come packed.

use super::Engine;
use crate::entry::EntryHandle;
use crate::error::ControlError;
use crate::prepared::Prepared;

impl Engine {
    /// As [`Engine::insert`].
    ///
    /// # Errors
    /// As [`Engine::insert`]; `Invalid` if the entry was prepared for another program.
    pub fn insert_prepared(&mut self, entry: Prepared) -> Result<EntryHandle, ControlError> {
        self.fitting(&entry)?;
        self.room(entry.table)?;
        let Some(does) = &entry.action else {
            return Err(ControlError::Invalid {
                what: "The entry has no action".to_owned(),
            });
        };
        self.add(
            entry.table,
            entry.packed,
            entry.priority,
            (does.word(), &does.args),
        )
    }

    /// As [`Engine::find`].
    ///
    /// # Errors
    /// `Invalid` if the entry was prepared for another program.
    pub fn find_prepared(&self, entry: &Prepared) -> Result<Option<EntryHandle>, ControlError> {
        self.fitting(entry)?;
        let rows = &self.state.tables[entry.table.position()].rows;
        let row = rows.find(&entry.packed, entry.priority);
        Ok(row.map(|row| rows.handle(row)))
    }

    /// As [`Engine::modify`]; without an action nothing changes.
    ///
    /// # Errors
    /// As [`Engine::modify`]; `Invalid` if the entry was prepared for another program.
    pub fn modify_prepared(
        &mut self,
        handle: EntryHandle,
        entry: &Prepared,
    ) -> Result<(), ControlError> {
        self.fitting(entry)?;
        self.writable(entry.table)?;
        let row = self.row(entry.table, handle)?;
        if let Some(does) = &entry.action {
            let rows = &mut self.state.tables[entry.table.position()].rows;
            rows.set_action(row, does.word(), &does.args);
        }
        Ok(())
    }

    fn fitting(&self, entry: &Prepared) -> Result<(), ControlError> {
        if entry.fits(&self.program) {
            return Ok(());
        }
        Err(ControlError::Invalid {
            what: "The entry was prepared for another program".to_owned(),
        })
    }
}
