//! Parses the frames of a server-sent event stream from the received pieces.

/// Collects bytes, and returns the data of each complete frame.
#[derive(Default)]
pub struct Frames {
    rest: Vec<u8>,
}

impl Frames {
    pub fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        self.rest.extend_from_slice(bytes);
        let mut frames = Vec::new();
        while let Some(end) = self.rest.windows(2).position(|pair| pair == b"\n\n") {
            let frame: Vec<u8> = self.rest.drain(..end + 2).collect();
            let text = String::from_utf8_lossy(&frame);
            let data: Vec<_> = text
                .lines()
                .filter_map(|line| line.strip_prefix("data:"))
                .map(|data| data.strip_prefix(' ').unwrap_or(data))
                .collect();
            if !data.is_empty() {
                frames.push(data.join("\n"));
            }
        }
        frames
    }
}

#[cfg(test)]
mod tests {
    use super::Frames;

    #[test]
    fn frames_come_whole_however_they_are_cut() {
        let stream = ": beat\n\ndata: {\"text\":\"Grüße\"}\n\nevent: x\ndata: a\ndata: b\n\ndata: unfinished";
        for size in 1..stream.len() {
            let mut frames = Frames::default();
            let got: Vec<_> = stream.as_bytes().chunks(size).flat_map(|piece| frames.push(piece)).collect();
            assert_eq!(got, ["{\"text\":\"Grüße\"}", "a\nb"], "in pieces of {size}");
        }
    }
}
