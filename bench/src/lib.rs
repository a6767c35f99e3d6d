//! Palisade: benches and leak suites.
