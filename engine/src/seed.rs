//! The demo project: made once, when the database is new.
