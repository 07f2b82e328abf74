//! A store's tables without the store: what a benchmark compares one with, and how it looks into one.

use super::{
    Settings, StoreError,
    error::ClickHouseError,
    http::{Client, Request},
    native::Rows,
    schema, write,
};
use crate::store::Commit;

/// A database with a store's tables.
#[derive(Debug)]
pub struct Bare {
    client: Client,
    database: String,
}

impl Bare {
    /// Makes the database and its tables, or opens what is there.
    ///
    /// # Errors
    /// The server can't be asked or refuses.
    pub fn open(settings: Settings) -> Result<Self, StoreError> {
        let database = settings.database.clone();
        let client = Client::start(settings)?;
        schema::prepare(&client, &database)?;
        Ok(Self { client, database })
    }

    /// Inserts all rows of a commit, and nothing that makes them count.
    ///
    /// # Errors
    /// The server can't be asked or refuses.
    pub fn insert(&self, commit: &Commit) -> Result<(), StoreError> {
        for answer in self.client.all(write::requests(commit, 1))? {
            answer?;
        }
        Ok(())
    }

    /// The first `UInt64` that a query answers.
    ///
    /// # Errors
    /// The server can't be asked or refuses, or answers with something else.
    pub fn number(&self, sql: &str) -> Result<u64, StoreError> {
        let answer = self.client.one(Request::plain(format!("{sql} FORMAT RowBinary")))?;
        Ok(Rows::new(&answer).u64()?)
    }

    /// Removes the database with all that is in it.
    ///
    /// # Errors
    /// The server can't be asked or refuses.
    pub fn remove(self) -> Result<(), ClickHouseError> {
        self.client.outside(format!("DROP DATABASE {}", self.database))?;
        Ok(())
    }
}
