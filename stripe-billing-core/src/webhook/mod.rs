//! Webhook intake: signatures and the event envelope.
