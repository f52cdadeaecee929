//! The demo project: made once, when the database is new.

pub(crate) async fn demo(_engine: &crate::Engine) -> crate::Result<()> {
    todo!()
}
