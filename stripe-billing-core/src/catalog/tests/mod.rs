mod fingerprint;
mod meaning;
mod mistakes;
mod properties;
