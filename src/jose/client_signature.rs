//! Signatures of clients under their assertions.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, RsaParameters,
    RsaPublicKeyComponents, UnparsedPublicKey,
};

use crate::oauth::client_keys::{AssertionAlgorithm, ClientKey, KeyMaterial};

/// Whether the key made this signature of `message` (RFC 7515 section 5.2, RFC 8037 section 3.1). A key never
/// verifies a signature of another algorithm than its own.
#[must_use]
pub fn is_signed(algorithm: AssertionAlgorithm, key: &ClientKey, message: &[u8], signature: &[u8]) -> bool {
    use AssertionAlgorithm::{EdDsa, Es256, Ps256, Rs256};
    if !key.fits(algorithm) {
        return false;
    }
    let rsa = |parameters: &RsaParameters, n: &[u8], e: &[u8]| {
        RsaPublicKeyComponents { n, e }.verify(parameters, message, signature).is_ok()
    };
    match (algorithm, key.material()) {
        (Es256, KeyMaterial::P256(point)) => {
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature).is_ok()
        }
        (EdDsa, KeyMaterial::Ed25519(public)) => {
            UnparsedPublicKey::new(&ED25519, public).verify(message, signature).is_ok()
        }
        (Ps256, KeyMaterial::Rsa { modulus, exponent }) => rsa(&RSA_PSS_2048_8192_SHA256, modulus, exponent),
        (Rs256, KeyMaterial::Rsa { modulus, exponent }) => {
            rsa(&RSA_PKCS1_2048_8192_SHA256, modulus, exponent)
        }
        _ => false,
    }
}
