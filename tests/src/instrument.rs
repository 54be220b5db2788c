//! What a test hears and sees of a page's media.

use serde_json::{Value, json};

const SCRIPT: &str = include_str!("../js/instrument.js");

/// What a page gets instead of microphone and camera.
#[derive(Debug, Clone, Copy)]
pub struct Instrument {
    /// The frequency of the tone in Hz.
    pub frequency: f64,
    /// The name of the error that asking for devices gives instead, `NotFoundError` for example.
    pub failure: Option<&'static str>,
}

/// The sound that comes in at a page.
#[derive(Debug, Clone, PartialEq)]
pub struct Heard {
    /// The loudest frequency in Hz.
    pub peak: f64,
    /// Its level in dB.
    pub loudest: f64,
    /// The levels of the frequencies that were asked for, in dB.
    pub levels: Vec<f64>,
}

/// What a page's connection counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    /// The kind of the own candidate of the pair in use.
    pub local: String,
    /// The kind of the other side's candidate.
    pub remote: String,
    /// Video frames decoded.
    pub frames: u64,
    /// Audio packets received.
    pub audio_packets: u64,
}

impl Instrument {
    /// A microphone that hears a steady tone.
    pub const fn tone(frequency: f64) -> Self {
        Self {
            frequency,
            failure: None,
        }
    }

    /// A machine whose devices can't be had, for the reason that the browser calls `failure`.
    pub const fn silent(failure: &'static str) -> Self {
        Self {
            frequency: 0.0,
            failure: Some(failure),
        }
    }

    /// A function without parameters that prepares a page.
    pub(crate) fn script(self) -> String {
        let config = json!({ "frequency": self.frequency, "failure": self.failure });
        format!("() => ({SCRIPT})({config})")
    }
}

impl Heard {
    pub(crate) fn read(value: &Value) -> Option<Self> {
        Some(Self {
            peak: value["peak"].as_f64()?,
            loudest: value["loudest"].as_f64()?,
            levels: value["levels"]
                .as_array()?
                .iter()
                .filter_map(Value::as_f64)
                .collect(),
        })
    }

    /// Whether the loudest sound is this tone, at least 20 dB above the second frequency that was asked for.
    pub fn is(&self, frequency: f64) -> bool {
        let [wanted, other] = self.levels[..] else {
            return false;
        };
        (self.peak - frequency).abs() < 15.0 && wanted > other + 20.0
    }
}

impl Stats {
    pub(crate) fn read(value: &Value) -> Option<Self> {
        Some(Self {
            local: value["local"].as_str()?.to_owned(),
            remote: value["remote"].as_str()?.to_owned(),
            frames: value["frames"].as_u64()?,
            audio_packets: value["audioPackets"].as_u64()?,
        })
    }

    /// Whether media goes straight from browser to browser.
    pub fn direct(&self) -> bool {
        let direct = ["host", "srflx", "prflx"];
        direct.contains(&self.local.as_str()) && direct.contains(&self.remote.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_counts_only_when_it_stands_out() {
        let heard = Heard {
            peak: 441.0,
            loudest: -30.0,
            levels: vec![-30.0, -80.0],
        };
        assert!(heard.is(440.0));
        assert!(!heard.is(660.0));
        assert!(
            !Heard {
                levels: vec![-30.0, -45.0],
                ..heard
            }
            .is(440.0)
        );
    }
}
