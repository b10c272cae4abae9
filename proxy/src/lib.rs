//! The road of a request: route, fork, adapt, forward, answer. Wires the rooms together.
