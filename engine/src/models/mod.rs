//! Models and who serves them.
