use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hickory_resolver::proto::op::{Message, OpCode};
use hickory_resolver::proto::rr::rdata::{A, NAPTR, SRV};
use hickory_resolver::proto::rr::{Name, RData, Record};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

/// A DNS server of a few names on this machine, which ends with the test.
pub(crate) struct Zone {
    pub(crate) address: SocketAddr,
    asked: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for Zone {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Zone {
    /// Serves lines like `_sip._udp.example.org SRV 10 0 5060 sip.example.org`; those of the name `*` for all names.
    pub(crate) async fn serve(lines: &[String]) -> Self {
        let records: Vec<Record> = lines.iter().map(|line| record(line)).collect();
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        let task = tokio::spawn(async move {
            let mut buffer = [0; 4096];
            loop {
                let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
                count.fetch_add(1, Ordering::Relaxed);
                let answer = answer(&buffer[..length], &records);
                socket.send_to(&answer, from).await.unwrap();
            }
        });
        Self {
            address,
            asked,
            task,
        }
    }

    /// How many questions have come.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

fn answer(asked: &[u8], records: &[Record]) -> Vec<u8> {
    let asked = Message::from_vec(asked).unwrap();
    let mut answer = Message::response(asked.metadata.id, OpCode::Query);
    answer.metadata.authoritative = true;
    for query in &asked.queries {
        for record in records {
            let any = record.name.to_ascii() == "*.";
            if (any || record.name == *query.name()) && record.record_type() == query.query_type() {
                let mut record = record.clone();
                record.name = query.name().clone();
                answer.add_answer(record);
            }
        }
        answer.add_query(query.clone());
    }
    answer.to_vec().unwrap()
}

fn record(line: &str) -> Record {
    let words: Vec<&str> = line.split_whitespace().collect();
    let name = |word: &str| Name::from_ascii(format!("{word}.")).unwrap();
    let number = |word: &str| word.parse().unwrap();
    let text = |word: &str| word.as_bytes().into();
    let data = match words[1..] {
        ["A", ip] => RData::A(A(ip.parse().unwrap())),
        ["SRV", priority, weight, port, target] => RData::SRV(SRV::new(
            number(priority),
            number(weight),
            number(port),
            name(target),
        )),
        ["NAPTR", order, preference, flags, service, replacement] => RData::NAPTR(NAPTR::new(
            number(order),
            number(preference),
            text(flags),
            text(service),
            text(""),
            name(replacement),
        )),
        _ => panic!("{line}"),
    };
    Record::from_rdata(name(words[0]), 60, data)
}
