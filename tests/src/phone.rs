//! A SIP phone of another project: baresip, whose microphone is a tone and whose earpiece is a file.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;

use serde_json::json;
use tempfile::TempDir;

use crate::process::Process;
use crate::wait::{PATIENCE, until};

/// How much of the end of a recording is listened to, in seconds.
const LISTENED: f64 = 0.5;

/// A phone that runs, until it is dropped.
#[derive(Debug)]
pub struct Phone {
    /// The frequency of the tone that it says, in Hz.
    pub frequency: f64,
    control: u16,
    process: Process,
    data: TempDir,
}

/// How a phone reaches its registrar.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The user's name.
    pub user: &'a str,
    /// `127.0.0.1:5060`.
    pub registrar: &'a str,
    /// `udp`, `tcp` or `tls`.
    pub transport: &'a str,
    /// What it can say: `pcmu`, `opus/48000/2`, `G722/16000/1`.
    pub codec: &'a str,
}

impl Phone {
    /// Starts a phone that registers.
    ///
    /// # Panics
    ///
    /// When baresip is missing or does not come up.
    pub async fn start(place: Place<'_>, frequency: f64) -> Self {
        let data = TempDir::with_prefix("partyline-phone-").expect("a temporary directory");
        let control = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|listener| listener.local_addr())
            .expect("a free port")
            .port();
        let Place {
            user,
            registrar,
            transport,
            codec,
        } = place;
        let account = format!(
            "<sip:{user}@example.org;transport={transport}>;outbound=\"sip:{registrar};transport={transport}\";regint=60;\
             audio_codecs={codec};answermode=manual\n"
        );
        let recordings = data.path().join("heard");
        std::fs::create_dir(&recordings).expect("a directory for what is heard");
        let modules = [
            "ausine", "aubridge", "g711", "g722", "opus", "sndfile", "account", "menu", "ctrl_tcp",
        ];
        let modules: String = modules
            .iter()
            .map(|name| match *name {
                "account" | "menu" | "ctrl_tcp" => format!("module_app {name}.so\n"),
                _ => format!("module {name}.so\n"),
            })
            .collect();
        let config = format!(
            "poll_method epoll\nsip_listen 127.0.0.1:0\nsip_verify_server no\ncall_local_timeout 60\ncall_max_calls 4\n\
             audio_player aubridge,{user}\naudio_source ausine,{frequency}\naudio_alert aubridge,alert\n\
             ausrc_srate 48000\nausrc_channels 2\nauplay_srate 48000\nrtp_ports 20000-29998\nrtcp_mux no\njitter_buffer_type fixed\n\
             jitter_buffer_delay 2-8\nmodule_path /usr/lib/baresip/modules\n{modules}ctrl_tcp_listen 127.0.0.1:{control}\n\
             snd_path {}\n",
            recordings.display()
        );
        write(data.path(), "config", &config);
        write(data.path(), "accounts", &account);
        write(data.path(), "contacts", "");
        let mut command = Command::new("baresip");
        command.arg("-f").arg(data.path());
        let output = data.path().join("output.log");
        let process = Process::start(&command, &output).expect("baresip starts");
        let phone = Self {
            frequency,
            control,
            process,
            data,
        };
        until("the phone is registered", PATIENCE, async || {
            let output = phone.process.output();
            if output.contains("200 OK") {
                Ok(())
            } else {
                Err(output)
            }
        })
        .await;
        phone
    }

    /// Has it do something, as its own menu calls it.
    ///
    /// # Panics
    ///
    /// When it does not take commands.
    pub fn tell(&self, command: &str, parameters: &str) {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.control))
            .expect("the phone takes commands");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a time-out can be set");
        let text = json!({ "command": command, "params": parameters, "token": "t" }).to_string();
        write!(stream, "{}:{text},", text.len()).expect("the phone reads");
        let mut answer = Vec::new();
        let mut buffer = [0; 4096];
        while !String::from_utf8_lossy(&answer).contains("\"token\":\"t\"") {
            let length = stream.read(&mut buffer).expect("the phone answers");
            assert!(length > 0, "the phone closed its control");
            answer.extend_from_slice(&buffer[..length]);
        }
    }

    /// Waits until it has said so.
    ///
    /// # Panics
    ///
    /// When it does not.
    pub async fn says(&self, what: &str) {
        self.says_times(what, 1).await;
    }

    /// Waits until it has said so that often.
    ///
    /// # Panics
    ///
    /// When it does not.
    pub async fn says_times(&self, what: &str, times: usize) {
        until(what, PATIENCE, async || {
            let output = self.process.output();
            if output.matches(what).count() >= times {
                Ok(())
            } else {
                Err(output)
            }
        })
        .await;
    }

    /// All that it has said.
    #[must_use]
    pub fn output(&self) -> String {
        self.process.output()
    }

    /// Waits until this tone is what it hears, and the other is not.
    ///
    /// # Panics
    ///
    /// When it hears something else.
    pub async fn hears(&self, wanted: f64, other: f64) {
        until("the phone hears the tone", PATIENCE, async || {
            let levels = self.levels(&[wanted, other]);
            match &levels {
                Some(levels) if levels[0] > -45.0 && levels[0] > levels[1] + 20.0 => Ok(()),
                _ => Err(format!("{levels:?}")),
            }
        })
        .await;
    }

    /// The levels of some frequencies in what it heard last, in dB below full scale.
    fn levels(&self, frequencies: &[f64]) -> Option<Vec<f64>> {
        let bytes = std::fs::read(self.recording()?).ok()?;
        let number = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let rate = f64::from(number(24)?);
        let channels = usize::from(u16::from_le_bytes(bytes.get(22..24)?.try_into().ok()?));
        let samples: Vec<f64> = bytes
            .get(44..)?
            .chunks_exact(2 * channels.max(1))
            .map(|pair| f64::from(i16::from_le_bytes([pair[0], pair[1]])) / 32_768.0)
            .collect();
        let count = (rate * LISTENED) as usize;
        let last = samples.get(samples.len().checked_sub(count)?..)?;
        let level = |frequency: &f64| level(last, rate, *frequency);
        Some(frequencies.iter().map(level).collect())
    }

    /// The latest recording of what came in.
    fn recording(&self) -> Option<std::path::PathBuf> {
        let entries = std::fs::read_dir(self.data.path().join("heard")).ok()?;
        let heard = entries
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.to_string_lossy().contains("-dec"));
        heard.max_by_key(|path| {
            std::fs::metadata(path)
                .and_then(|meta| meta.modified())
                .ok()
        })
    }
}

fn write(directory: &Path, name: &str, text: &str) {
    std::fs::write(directory.join(name), text).expect("a configuration is written");
}

/// The level of one frequency, by Goertzel's algorithm.
fn level(samples: &[f64], rate: f64, frequency: f64) -> f64 {
    let turn = 2.0 * (2.0 * std::f64::consts::PI * frequency / rate).cos();
    let (mut one, mut two) = (0.0, 0.0);
    for sample in samples {
        let next = sample + turn * one - two;
        (two, one) = (one, next);
    }
    let power = one * one + two * two - turn * one * two;
    let amplitude = 2.0 * power.max(0.0).sqrt() / samples.len() as f64;
    20.0 * amplitude.max(1e-10).log10()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_is_told_from_another() {
        let tone =
            |at: usize| 0.5 * (2.0 * std::f64::consts::PI * 440.0 * at as f64 / 8000.0).sin();
        let samples: Vec<f64> = (0..4000).map(tone).collect();
        assert!((level(&samples, 8000.0, 440.0) + 6.0).abs() < 0.5);
        assert!(level(&samples, 8000.0, 660.0) < -40.0);
    }
}
