//! What happens when a part of the system fails, stalls or is overloaded: nothing that was accepted is lost, and no
//! client stops the others.

mod chaos;
mod contention;
mod crash_points;
mod dead_letters;
mod failing_totals;
mod followers;
mod hostile_clients;
mod outages;
mod overload;
mod storage_faults;
