//! What a receiver sees of the simulated shop.

mod bulk;
mod reading;
mod rulings;
mod shop;
mod story;
