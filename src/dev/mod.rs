//! The stand-in for Pangea: loopback only.
