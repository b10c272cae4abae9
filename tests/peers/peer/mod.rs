//! One file per peer, or per way to fail.

mod announce;
mod balance;
mod calls;
mod clock;
mod disk;
mod dns;
mod durability;
mod faults;
mod ffmpeg;
mod kamailio;
mod kamailio_presence;
mod offline;
mod overload;
mod password;
mod renewal;
mod sandbox;
mod sipp;
mod tls;
mod web;
mod websocket;
