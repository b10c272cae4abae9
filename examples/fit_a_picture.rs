//! Fits a picture to what a phone can show, and says what was done.
//!
//! `cargo run --example fit_a_picture -- tests/data/images/life_1080p.jpg small.jpg`

use std::error::Error;

use adapter::{Entity, Field, Settings, adapt_one};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(from), Some(to)) = (arguments.next(), arguments.next()) else {
        return Err("name a picture to read and a file to write".into());
    };
    // What a phone of 2003 says in its REGISTER.
    let accept =
        (&b"Accept"[..], &b"image/jpeg;media-pix-x=max+160;media-pix-y=max+120;length=max+16384"[..]);
    let (terminal, _tolerated) = cpi::decode::from_headers([accept], &cpi::Extensions::NONE);

    let body = bytes::Bytes::from(std::fs::read(&from)?);
    let kind = adapter::image::probe(&body)?.kind;
    let entity = Entity { fields: vec![Field::new("Content-Type", kind.media_type())], body };
    let fitted = adapt_one(&entity, &terminal, &Settings::new("example.com"), &|| false)?;

    std::fs::write(&to, &fitted.body)?;
    println!("{} -> {} octets: {}", entity.body.len(), fitted.octets, fitted.ops.join(", "));
    Ok(())
}
