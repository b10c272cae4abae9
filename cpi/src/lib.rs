//! Capabilities and preference information of a terminal: parse, match, merge. Pure.
