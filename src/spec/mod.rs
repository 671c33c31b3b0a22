//! Every number and name of the protocols, once.
