//! The JSON form of a plan is its file format, so there is nothing to render.

/// The sealed bytes as they are, ended by one line feed if they have none.
pub fn plan(sealed: &[u8]) -> Vec<u8> {
    let mut bytes = sealed.to_vec();
    if !bytes.ends_with(b"\n") {
        bytes.push(b'\n');
    }
    bytes
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_sealed_bytes_come_out_unchanged() {
        assert_eq!(super::plan(b"{ \"a\":1}"), b"{ \"a\":1}\n");
        assert_eq!(super::plan(b"{}\n"), b"{}\n");
    }
}
