//! Numbers for people: short, and with their unit.

/// The units of bytes, from the greatest, each with its size.
const BYTES: [(&str, u64); 4] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
/// The units of time, from the greatest, each with its seconds.
const TIMES: [(&str, u64); 3] = [("d", 86_400), ("h", 3_600), ("min", 60)];

/// Bytes with a binary unit, as `1.5GiB`.
pub fn bytes(bytes: u64) -> String {
    match BYTES.iter().find(|(_, size)| bytes >= *size) {
        Some((unit, size)) => format!("{:.1}{unit}", bytes as f64 / *size as f64),
        None => format!("{bytes}B"),
    }
}

/// A span of time in its greatest unit, as `3.5 h`.
pub fn seconds(seconds: u64) -> String {
    match TIMES.iter().find(|(_, size)| seconds >= *size) {
        Some((unit, size)) => format!("{:.1} {unit}", seconds as f64 / *size as f64),
        None => format!("{seconds} s"),
    }
}

/// A figure with three digits or so; `-` when there is none.
pub fn figure(figure: Option<f64>) -> String {
    match figure {
        None => "-".into(),
        Some(0.0) => "0".into(),
        Some(figure) if figure.abs() >= 100.0 => format!("{figure:.0}"),
        Some(figure) if figure.abs() >= 10.0 => format!("{figure:.1}"),
        Some(figure) => format!("{figure:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!([0, 1_023, 1_536, 5 << 30].map(bytes), ["0B", "1023B", "1.5KiB", "5.0GiB"]);
        assert_eq!([59, 90, 5_400, 172_800].map(seconds), ["59 s", "1.5 min", "1.5 h", "2.0 d"]);
        assert_eq!(
            [None, Some(0.0), Some(0.123), Some(12.34), Some(1_234.5)].map(figure),
            ["-", "0", "0.12", "12.3", "1234"]
        );
    }
}
