//! The sample server as a separate process, for handlers that are separate processes.

use std::net::TcpStream;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::sent::{Content, End, Sent};
use crate::{Process, Result, WorkDir, binary, failed, http, ports, wait_until};

/// Concurrent downloads when the expected files are read; some take seconds.
const CONCURRENT_DOWNLOADS: usize = 32;

/// The default allow-list (`shared/contracts/SPECIFICATION.md`, "URL rules").
pub const HOSTS: [&str; 6] = [
    "usw2-prod-xn-exportreceiver-publish.s3.us-west-2.amazonaws.com",
    "claimxperience.s3.amazonaws.com",
    "claimxperience.s3.us-east-1.amazonaws.com",
    "www.claimxperience.com",
    "claimxperience.com",
    "xactware-claimx-us-prod.s3.us-west-1.amazonaws.com",
];

fn spawn(http: &str, https: &str, ca_file: &str, folder: &Path) -> Result<Process> {
    let mut args = vec!["--http", http, "--https", https, "--ca-file", ca_file];
    args.extend(HOSTS.iter().flat_map(|host| ["--host", host]));
    let none: [(&str, &str); 0] = [];
    let process = Process::spawn("attachment-source", binary("attachment-source")?, args, none, folder)?;
    wait_until(Duration::from_secs(30), "the sample server answers", || {
        // The server opens HTTPS after HTTP, and writes the authority after both.
        (TcpStream::connect(https).is_ok() && Path::new(ca_file).exists()).then_some(())
    })
    .map_err(|error| process.error(&error.to_string()))?;
    Ok(process)
}

/// The server, for the hosts of the default allow-list.
pub struct SampleServer {
    process: Process,
    /// `127.0.0.1:port` of HTTP.
    pub http: String,
    /// `127.0.0.1:port` of HTTPS.
    pub https: String,
    /// The certificate authority to trust.
    pub ca_file: String,
    folder: PathBuf,
}

impl SampleServer {
    /// Starts the server and waits until it responds.
    pub fn start(dir: &WorkDir) -> Result<Self> {
        let address = || Ok(format!("127.0.0.1:{}", ports::free()?));
        let (http, https) = (address()?, address()?);
        let ca_file = dir.join("ca.pem").display().to_string();
        Ok(Self {
            process: spawn(&http, &https, &ca_file, dir.path())?,
            http,
            https,
            ca_file,
            folder: dir.path().to_owned(),
        })
    }

    /// Kills the server: connections are refused from then on.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// Restarts the server on its addresses. It has a new HTTPS certificate, which existing clients do not trust.
    pub fn restart(&mut self) -> Result<()> {
        self.process.kill()?;
        self.process = spawn(&self.http, &self.https, &self.ca_file, &self.folder)?;
        Ok(())
    }

    /// Fetches every attachment that must end as a file, to learn its expected content. Call it after the pipeline has run,
    /// since a fault that occurs once occurs for the first request.
    pub fn fill_in(&self, sent: &mut [Sent]) -> Result<()> {
        let mut files: Vec<(String, &mut Option<Content>)> = Vec::new();
        for attachment in sent.iter_mut().flat_map(|sent| &mut sent.attachments) {
            if let End::File { content, .. } = &mut attachment.end {
                let rest = attachment.url.split_once("://").map_or("", |(_, rest)| rest);
                let path = rest.find('/').map_or("/", |slash| &rest[slash..]);
                files.push((path.to_owned(), content));
            }
        }
        for files in files.chunks_mut(CONCURRENT_DOWNLOADS) {
            thread::scope(|scope| {
                let fetch = |(path, content): &mut (String, &mut Option<Content>)| {
                    let (status, body) = http::get_bytes(&self.http, path)?;
                    if status != 200 {
                        return Err(failed(&*path, format!("{status}: {}", String::from_utf8_lossy(&body))));
                    }
                    **content = Some(Content {
                        bytes: body.len() as u64,
                        sha256: hex::encode(Sha256::digest(&body)),
                    });
                    Ok(())
                };
                let fetches: Vec<_> = files.iter_mut().map(|file| scope.spawn(move || fetch(file))).collect();
                fetches
                    .into_iter()
                    .try_for_each(|fetch| fetch.join().unwrap_or_else(|panic| resume_unwind(panic)))
            })?;
        }
        Ok(())
    }
}
