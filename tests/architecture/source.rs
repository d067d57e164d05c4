//! The source of the workspace's crates, and which file uses which.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use syn::{
    Attribute, Item, ItemMod, ItemUse, UseTree,
    visit::{self, Visit},
};

/// The crates, and the roots of their modules.
const CRATES: [(&str, &str); 5] = [
    ("curfew_core", "core/src/lib.rs"),
    ("curfew", "src/lib.rs"),
    ("curfew_main", "src/main.rs"),
    ("testbed", "testbed/src/lib.rs"),
    ("xtask", "xtask/src/main.rs"),
];

/// The path of a module: its crate first.
type Module = Vec<String>;

/// Every module of every crate that is not a test.
pub struct Tree(BTreeMap<Module, Source>);

/// The file of a module.
struct Source {
    /// From the workspace's root.
    file: String,
    items: Vec<Item>,
    /// What it has under a name of its own: the name, and the path that it stands for.
    imports: Vec<(String, Vec<String>)>,
    /// The modules of which it takes everything.
    globs: Vec<Vec<String>>,
}

// === impl Tree ===

impl Tree {
    /// Reads the workspace.
    pub fn read() -> Self {
        let mut tree = Self(BTreeMap::new());
        for (name, root) in CRATES {
            tree.read_module(vec![name.to_owned()], Path::new(root));
        }
        assert!(tree.0.len() > 100, "only {} files were found", tree.0.len());
        tree
    }

    fn read_module(&mut self, module: Module, file: &Path) {
        let text = fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let items: Vec<Item> = parsed.items.into_iter().filter(|item| !is_test(item)).collect();
        let (mut imports, mut globs) = (Vec::new(), Vec::new());
        for item in &items {
            if let Item::Use(ItemUse { tree, .. }) = item {
                flatten(tree, &mut Vec::new(), &mut imports, &mut globs);
            }
        }
        for item in &items {
            if let Item::Mod(child @ ItemMod { content: None, .. }) = item {
                let name = child.ident.to_string();
                let child = file_of(child, &name, file);
                self.read_module([&module[..], &[name]].concat(), &child);
            }
        }
        let file = file.to_string_lossy().into_owned();
        self.0.insert(
            module,
            Source {
                file,
                items,
                imports,
                globs,
            },
        );
    }

    /// Every file.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.0.values().map(|source| source.file.as_str())
    }

    /// Which file uses which other one.
    pub fn uses(&self) -> impl Iterator<Item = (String, String)> {
        let mut uses = BTreeSet::new();
        for (module, source) in &self.0 {
            let mut paths = Paths(Vec::new());
            source.items.iter().for_each(|item| paths.visit_item(item));
            paths.0.extend(source.imports.iter().map(|(_, path)| path.clone()));
            paths
                .0
                .extend(source.globs.iter().map(|path| [&path[..], &["*".to_owned()]].concat()));
            for path in paths.0 {
                if let Some(used) = self.file_that_defines(module, &path)
                    && used != source.file
                {
                    uses.insert((source.file.clone(), used.to_owned()));
                }
            }
        }
        uses.into_iter()
    }

    /// The files named `mod.rs` and `lib.rs` that hold more than declarations and re-exports.
    pub fn mod_files_with_code(&self) -> impl Iterator<Item = &str> {
        let declares = |item: &Item| matches!(item, Item::Mod(ItemMod { content: None, .. }) | Item::Use(_));
        let is_mod = |source: &&Source| source.file.ends_with("/mod.rs") || source.file.ends_with("/lib.rs");
        let wrong = self.0.values().filter(is_mod);
        let wrong = wrong.filter(move |source| !source.items.iter().all(declares));
        wrong.map(|source| source.file.as_str())
    }

    /// The file that defines what a path names, seen from a module; none for what is not ours.
    fn file_that_defines(&self, from: &[String], path: &[String]) -> Option<&str> {
        let (first, rest) = path.split_first()?;
        let start = match first.as_str() {
            "crate" => vec![from.first()?.clone()],
            "self" => from.to_vec(),
            "super" => from[..from.len() - 1].to_vec(),
            name if CRATES.iter().any(|(known, _)| *known == name) => vec![name.to_owned()],
            name => {
                let child = [from, &[name.to_owned()]].concat();
                return self.0.contains_key(&child).then(|| self.descend(child, rest, 0))?;
            }
        };
        self.descend(start, rest, 0)
    }

    fn descend(&self, mut module: Module, path: &[String], depth: usize) -> Option<&str> {
        if depth > 20 {
            return None;
        }
        let mut rest = path;
        while let Some((next, after)) = rest.split_first() {
            let child = [&module[..], std::slice::from_ref(next)].concat();
            if next == "super" {
                module.pop();
            } else if self.0.contains_key(&child) {
                module = child;
            } else {
                return self.item(&module, next, after, depth);
            }
            rest = after;
        }
        self.0.get(&module).map(|source| source.file.as_str())
    }

    /// The file that defines a name of a module, which may have it from elsewhere.
    fn item(&self, module: &Module, name: &str, after: &[String], depth: usize) -> Option<&str> {
        let source = self.0.get(module)?;
        let elsewhere = |path: &[String]| {
            let first = path.first().map(String::as_str);
            let start = match first? {
                "crate" => vec![module.first()?.clone()],
                "self" => module.clone(),
                "super" => module[..module.len() - 1].to_vec(),
                known if CRATES.iter().any(|(name, _)| *name == known) => vec![known.to_owned()],
                child => [&module[..], &[child.to_owned()]].concat(),
            };
            self.0
                .contains_key(&start)
                .then(|| self.descend(start, &path[1..], depth + 1))?
        };
        if let Some((_, path)) = source.imports.iter().find(|(known, _)| known == name) {
            return elsewhere(&[&path[..], after].concat());
        }
        let is_here = source.items.iter().any(|item| defines(item, name));
        if !is_here {
            for glob in &source.globs {
                let path = [&glob[..], &[name.to_owned()], after].concat();
                if let Some(file) = elsewhere(&path) {
                    return Some(file);
                }
            }
        }
        Some(source.file.as_str())
    }
}

/// The paths that some code names.
struct Paths(Vec<Vec<String>>);

impl<'ast> Visit<'ast> for Paths {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.0
            .push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {
        // `pub(super)` uses nothing.
    }

    fn visit_item(&mut self, item: &'ast Item) {
        if !is_test(item) {
            visit::visit_item(self, item);
        }
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Where the file of a module is that `parent` declares.
fn file_of(child: &ItemMod, name: &str, parent: &Path) -> PathBuf {
    let folder = parent.parent().expect("a folder");
    if let Some(path) = child.attrs.iter().find_map(path_of) {
        return folder.join(path);
    }
    let is_root = parent
        .file_name()
        .is_some_and(|name| name == "mod.rs" || name == "lib.rs" || name == "main.rs");
    let folder = if is_root {
        folder.to_owned()
    } else {
        parent.with_extension("")
    };
    let file = folder.join(name).with_extension("rs");
    if root().join(&file).is_file() {
        return file;
    }
    folder.join(name).join("mod.rs")
}

/// What `#[path = "…"]` says.
fn path_of(attribute: &Attribute) -> Option<String> {
    let syn::Meta::NameValue(pair) = &attribute.meta else {
        return None;
    };
    match &pair.value {
        syn::Expr::Lit(syn::ExprLit {
            lit: syn::Lit::Str(text),
            ..
        }) if pair.path.is_ident("path") => Some(text.value()),
        _ => None,
    }
}

/// Whether an item is only there for tests.
fn is_test(item: &Item) -> bool {
    let attributes = match item {
        Item::Mod(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => return false,
    };
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Path>()
                .is_ok_and(|condition| condition.is_ident("test"))
    })
}

/// Whether an item is the definition of a name.
fn defines(item: &Item, name: &str) -> bool {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        _ => return false,
    };
    ident == name
}

/// The paths of a `use`, with the names that they get, and what is taken whole.
fn flatten(
    tree: &UseTree,
    before: &mut Vec<String>,
    imports: &mut Vec<(String, Vec<String>)>,
    globs: &mut Vec<Vec<String>>,
) {
    match tree {
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            flatten(&path.tree, before, imports, globs);
            before.pop();
        }
        UseTree::Name(name) if name.ident == "self" => {
            imports.push((before.last().cloned().unwrap_or_default(), before.clone()));
        }
        UseTree::Name(name) => {
            let name = name.ident.to_string();
            imports.push((name.clone(), [&before[..], &[name]].concat()));
        }
        UseTree::Rename(rename) => {
            let path = [&before[..], &[rename.ident.to_string()]].concat();
            imports.push((rename.rename.to_string(), path));
        }
        UseTree::Glob(_) => globs.push(before.clone()),
        UseTree::Group(group) => group
            .items
            .iter()
            .for_each(|tree| flatten(tree, before, imports, globs)),
    }
}
