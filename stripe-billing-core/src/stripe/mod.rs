//! Stripe, as far as billing needs it: the API calls and tolerant views over its objects.
