//! Max-Breadth: how many branches may run at once (RFC 5393 §5.3).
//!
//! The sum over the running branches never exceeds what came in: `search` shares it out, so a breadth of 1
//! is serial forking. A breadth of 0 lets nothing be forwarded (440).

/// The value a request without the field gets, and the most that is taken over (RFC 5393 §5.3.3.1).
pub const MOST: u32 = 60;

/// The breadth this request may use here, from its Max-Breadth field if it has one.
pub fn incoming(field: Option<u32>) -> u32 {
    field.map_or(MOST, |value| value.min(MOST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_field_counts_as_sixty_and_more_is_capped() {
        assert_eq!([incoming(None), incoming(Some(5)), incoming(Some(1000))], [60, 5, 60]);
    }
}
