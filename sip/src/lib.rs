//! SIP messages as octets with an index, URIs, and sans-IO transactions. Pure: octets and the clock come in as arguments.
