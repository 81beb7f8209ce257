//! What holds under races and kills, with several processes.

mod fire;
mod races;
