//! How the code is put together: which package uses which, and which file imports which.

mod layers;
