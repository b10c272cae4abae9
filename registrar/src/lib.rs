//! Who is where and what they can show: bindings, REGISTER rules, OPTIONS queries.
