//! Events of Stripe's that went wrong somewhere: no panic, also none that the library catches, and
//! whatever they say is stored, settled and shown.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stripe_billing_fuzz::Mode;

fuzz_target!(|bytes: &[u8]| {
    let Some((mode, bytes)) = bytes.split_first() else { return };
    let mode = if mode % 2 == 0 { Mode::Deliver } else { Mode::Read };
    mode.run(bytes);
});
