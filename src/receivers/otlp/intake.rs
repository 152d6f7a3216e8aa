//! From bytes to an acknowledgement: decompress, validate, reserve, commit. Both protocols meet here.

use super::answer::Refusal;
use super::body::{self, BodyError, Budget};
use crate::otlp::{Signal, validate};
use crate::pipeline::compression::{DecompressError, Encoding, Limits, decompress};
use crate::pipeline::{Batch, Consumer, Reservation};
use crate::telemetry::ReceiverMetrics;
use bytes::Bytes;
use hyper::StatusCode;
use hyper::body::Incoming;
use std::sync::Arc;
use std::time::Duration;
use tonic::Code;

/// What a receiver does with requests, whatever protocol they came by.
pub(super) struct Intake {
    /// Where each signal goes, indexed as [`Signal::ALL`]; `None` where no pipeline takes it.
    pub(super) consumers: [Option<Arc<dyn Consumer>>; 3],
    /// Largest request, before and after decompression, in bytes.
    pub(super) limit: usize,
    /// Longest time for a body to arrive.
    pub(super) body_timeout: Duration,
    /// Bytes of bodies in memory at once.
    pub(super) budget: Arc<Budget>,
    /// Counters of this receiver and transport.
    pub(super) metrics: ReceiverMetrics,
}

impl Intake {
    /// The consumer of a signal.
    pub(super) fn consumer(&self, signal: Signal) -> Option<&Arc<dyn Consumer>> {
        self.consumers.get(signal as usize)?.as_ref()
    }

    /// Reads a body within size, time and budget.
    pub(super) async fn read(&self, body: &mut Incoming) -> Result<(Bytes, body::Share), Refusal> {
        let mut share = self.budget.share();
        let limit = self.limit.saturating_add(5);
        match tokio::time::timeout(self.body_timeout, body::read(body, limit, &mut share)).await {
            Ok(Ok(bytes)) => Ok((bytes, share)),
            Ok(Err(error)) => Err(self.body_refusal(&error)),
            Err(_) => {
                let what = format!("request body did not arrive within {:?}", self.body_timeout);
                let refusal = Refusal::new(Code::DeadlineExceeded, "slow_sender", what);
                Err(refusal.with_http(StatusCode::REQUEST_TIMEOUT))
            }
        }
    }

    fn body_refusal(&self, error: &BodyError) -> Refusal {
        let text = error.to_string();
        match error {
            BodyError::TooLarge { .. } => self.too_large(),
            BodyError::Busy { .. } => Refusal::new(Code::Unavailable, "receiving_too_much", text)
                .with_retry(Duration::from_secs(1)),
            BodyError::Broken(_) => Refusal::new(Code::Cancelled, "broken_body", text),
        }
    }

    fn too_large(&self) -> Refusal {
        let what = format!(
            "request is larger than the limit of {} bytes; send smaller batches or raise the receiver's limit",
            self.limit
        );
        Refusal::new(Code::ResourceExhausted, "too_large", what)
            .with_http(StatusCode::PAYLOAD_TOO_LARGE)
    }

    /// Undoes a compression within the limits.
    pub(super) fn decompress(&self, encoding: Encoding, bytes: &Bytes) -> Result<Bytes, Refusal> {
        if bytes.len() > self.limit {
            return Err(self.too_large());
        }
        if encoding == Encoding::Identity {
            return Ok(bytes.clone());
        }
        decompress(
            encoding,
            bytes,
            Limits {
                limit: self.limit,
                ..Limits::default()
            },
        )
        .map_err(|error| match error {
            DecompressError::TooLarge { .. } => self.too_large(),
            DecompressError::Ratio { .. } => {
                let refusal = Refusal::new(Code::ResourceExhausted, "bomb", error.to_string());
                refusal.with_http(StatusCode::PAYLOAD_TOO_LARGE)
            }
            other => Refusal::new(Code::InvalidArgument, "bad_compression", other.to_string()),
        })
    }

    /// Takes a request's protobuf bytes all the way to an acknowledgement.
    pub(super) async fn take(
        &self,
        signal: Signal,
        bytes: Bytes,
        share: body::Share,
    ) -> Result<(), Refusal> {
        let items = validate(signal, &bytes)?;
        let Some(consumer) = self.consumer(signal) else {
            return Err(no_pipeline(signal));
        };
        let batch = Batch {
            signal,
            bytes,
            items,
        };
        let obtained = Reservation::obtain(&**consumer, batch, self.body_timeout).await;
        let reservation =
            obtained.inspect_err(|_| self.metrics.refused(signal, u64::from(items)))?;
        let completion = reservation.commit();
        drop(share);
        if let Err(verdict) = completion.wait().await {
            self.metrics.failed(signal, u64::from(items));
            return Err(verdict.into());
        }
        self.metrics.accepted(signal, u64::from(items));
        Ok(())
    }
}

/// The answer for a signal that no pipeline takes.
pub(super) fn no_pipeline(signal: Signal) -> Refusal {
    let what = format!(
        "no {signal} pipeline is configured for this receiver; add it to service.pipelines",
        signal = signal.as_str()
    );
    Refusal::new(Code::Unimplemented, "no_pipeline", what)
}
