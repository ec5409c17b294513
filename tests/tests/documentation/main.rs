//! What a reader of the documentation meets: each command, example and page does what it says on a running demonstration.

mod browser;
mod demo;
mod examples;
mod guide;
mod mask;
mod operation;
mod postman;
mod readme;
