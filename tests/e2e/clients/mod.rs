//! The client matrix: real SDKs, `telemetrygen` and the Collector send through a restart; what they sent is stored, once.

mod collector;
mod crew;
mod matrix;
mod process;
mod rust;
mod sdks;
mod telemetrygen;
