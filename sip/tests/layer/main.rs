//! The message layer seen from outside.

#[cfg(test)]
mod allocation;
#[cfg(test)]
mod building;
#[cfg(test)]
mod data;
#[cfg(test)]
mod framing;
#[cfg(test)]
mod messages;
#[cfg(feature = "rsip")]
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod outgoing;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod spellings;
#[cfg(test)]
mod torture;
#[cfg(test)]
mod torture6;
#[cfg(test)]
mod uris;
