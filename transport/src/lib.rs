//! UDP and TCP sockets, connections, the one clock, and the driver of the transaction machines.
