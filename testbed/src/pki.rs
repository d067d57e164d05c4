//! Certificates and kubeconfigs: one CA for the API server and for every user.
//!
//! A user is a client certificate: its common name is the user, its organisations are the groups. Everything is
//! written to files of the plane's directory, since both Go programs and kubectl want files.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use serde_json::json;

/// Somebody who talks to the API server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct User {
    /// The name of the kubeconfig file.
    pub file: &'static str,
    /// The user name that RBAC and the audit log know.
    pub name: &'static str,
    /// At most two.
    pub groups: &'static [&'static str],
    /// The namespace of commands that name none.
    pub namespace: &'static str,
}

const MASTERS: &[&str] = &["system:masters"];

/// May do everything.
pub(crate) const ADMIN: User = User {
    file: "admin",
    name: "admin",
    groups: MASTERS,
    namespace: "default",
};
/// An application team: the ClusterRole `edit` and Canaries, in the namespace `tenant` alone.
pub(crate) const TENANT: User = User {
    file: "tenant",
    name: "tenant",
    groups: &[],
    namespace: "tenant",
};
/// Curfew's service account, so that it has the permissions of the deploy manifests and no others.
pub(crate) const CURFEW: User = User {
    file: "curfew",
    name: "system:serviceaccount:curfew-system:curfew",
    groups: &["system:serviceaccounts", "system:serviceaccounts:curfew-system"],
    namespace: "curfew-system",
};
pub(crate) const FLAGGER: User = User {
    file: "flagger",
    name: "flagger",
    groups: MASTERS,
    namespace: "flagger-system",
};
pub(crate) const CONTROLLER_MANAGER: User = User {
    file: "controller-manager",
    name: "system:kube-controller-manager",
    groups: MASTERS,
    namespace: "kube-system",
};
pub(crate) const KUBELET: User = User {
    file: "kubelet",
    name: "plane:kubelet",
    groups: MASTERS,
    namespace: "default",
};

/// Where the files are, below a plane's directory.
pub(crate) struct Pki {
    dir: PathBuf,
    ca: CertifiedIssuer<'static, KeyPair>,
}

// === impl Pki ===

impl Pki {
    /// Makes the CA, the API server's certificate and the key that signs service account tokens.
    pub fn create(plane: &Path) -> Result<Self> {
        let dir = plane.join("pki");
        fs::create_dir_all(&dir)?;
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        params.distinguished_name.push(DnType::CommonName, "plane");
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let pki = Self { dir, ca };
        write_secret(&pki.file("ca.crt"), &pki.ca.pem())?;

        let names = ["localhost", "127.0.0.1", "kubernetes", "kubernetes.default.svc"];
        let mut server = CertificateParams::new(names.map(str::to_owned).to_vec())?;
        server.distinguished_name.push(DnType::CommonName, "kube-apiserver");
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        pki.issue("apiserver", &server)?;

        let tokens = KeyPair::generate()?;
        write_secret(&pki.file("service-accounts.key"), &tokens.serialize_pem())?;
        write_secret(&pki.file("service-accounts.pub"), &tokens.public_key_pem())?;
        Ok(pki)
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Writes a client certificate, and at `kubeconfig` the way to use it against `server`.
    pub fn add_user(&self, user: &User, server: &str, kubeconfig: &Path) -> Result<()> {
        let User {
            file,
            name,
            groups,
            namespace,
        } = user;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, *name);
        // rcgen keeps one value for each type of name, but does not see that these two are the same type.
        let organisations = [DnType::OrganizationName, DnType::CustomDnType(vec![2, 5, 4, 10])];
        for (kind, group) in organisations.into_iter().zip(*groups) {
            params.distinguished_name.push(kind, *group);
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(file, &params)?;
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": file,
            "clusters": [{"name": "plane", "cluster": {
                "server": server,
                "certificate-authority": self.file("ca.crt"),
            }}],
            "users": [{"name": file, "user": {
                "client-certificate": self.file(&format!("{file}.crt")),
                "client-key": self.file(&format!("{file}.key")),
            }}],
            "contexts": [{"name": file, "context": {"cluster": "plane", "user": file, "namespace": namespace}}],
        });
        write_secret(kubeconfig, &serde_json::to_string_pretty(&config)?)
    }

    fn issue(&self, file: &str, params: &CertificateParams) -> Result<()> {
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.ca)?;
        write_secret(&self.file(&format!("{file}.crt")), &certificate.pem())?;
        write_secret(&self.file(&format!("{file}.key")), &key.serialize_pem())
    }
}

fn write_secret(path: &Path, text: &str) -> Result<()> {
    let file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("cannot write {}", path.display()))
}
