//! The paths that a module names, as they are written.

use std::collections::BTreeMap;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::Visit;
use syn::{
    Attribute, File, Item, ItemMod, ItemUse, Macro, Meta, UseTree, VisRestricted, Visibility,
};

use crate::sources::is_for_tests;

/// The segments of a path.
pub type Segments = Vec<String>;

/// The names in one file.
#[derive(Debug, Default)]
pub struct Names {
    /// Paths of all kinds.
    pub paths: Vec<Segments>,
    /// Local names of `use` items with the imported paths.
    pub imports: BTreeMap<String, Segments>,
    /// The part of `imports` that others can name through this module.
    pub exports: BTreeMap<String, Segments>,
    /// The number of modules with a body in this file that enclose the current item.
    inline: usize,
}

/// Collects the names in `file`.
pub fn collect(file: &File) -> Names {
    let mut names = Names::default();
    names.visit_file(file);
    names
}

impl Names {
    /// Takes in the paths of a `use` item.
    fn add_import(&mut self, tree: &UseTree, mut prefix: Segments, public: bool) {
        match tree {
            UseTree::Path(path) => {
                prefix.push(path.ident.to_string());
                self.add_import(&path.tree, prefix, public);
            }
            UseTree::Group(group) => {
                for item in &group.items {
                    self.add_import(item, prefix.clone(), public);
                }
            }
            UseTree::Glob(_) => self.add(prefix),
            UseTree::Name(name) => {
                let name = name.ident.to_string();
                let local = match name.as_str() {
                    "self" => prefix.last().cloned().unwrap_or_default(),
                    _ => {
                        prefix.push(name.clone());
                        name
                    }
                };
                self.bind(local, prefix, public);
            }
            UseTree::Rename(rename) => {
                if rename.ident != "self" {
                    prefix.push(rename.ident.to_string());
                }
                self.bind(rename.rename.to_string(), prefix, public);
            }
        }
    }

    /// A path as it is written in the file's own module: in a module with a body, `super` leads no further than there.
    fn relative_to_file(&self, path: Segments) -> Segments {
        let supers = path.iter().take_while(|name| *name == "super").count();
        match supers.min(self.inline) {
            0 => path,
            own => std::iter::once("self".to_owned())
                .chain(path.into_iter().skip(own))
                .collect(),
        }
    }

    fn add(&mut self, path: Segments) {
        let path = self.relative_to_file(path);
        self.paths.push(path);
    }

    fn bind(&mut self, local: String, path: Segments, public: bool) {
        let path = self.relative_to_file(path);
        if public {
            self.exports.insert(local.clone(), path.clone());
        }
        self.imports.insert(local, path.clone());
        self.paths.push(path);
    }

    /// Takes in what looks like a path among the tokens of a macro, whose grammar is its own.
    fn add_tokens(&mut self, tokens: TokenStream) {
        let mut path = Segments::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(name) => {
                    if colons != 2 {
                        self.finish_path(&mut path);
                    }
                    path.push(name.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                other => {
                    self.finish_path(&mut path);
                    colons = 0;
                    if let TokenTree::Group(group) = other {
                        self.add_tokens(group.stream());
                    }
                }
            }
        }
        self.finish_path(&mut path);
    }

    fn finish_path(&mut self, path: &mut Segments) {
        let path = std::mem::take(path);
        if path.len() > 1 {
            self.add(path);
        }
    }
}

impl<'ast> Visit<'ast> for Names {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_for_tests(attributes(item)) {
            syn::visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        self.inline += 1;
        syn::visit::visit_item_mod(self, module);
        self.inline -= 1;
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let public = !matches!(item.vis, Visibility::Inherited);
        self.add_import(&item.tree, Vec::new(), public);
    }

    /// `pub(super)` says who may name an item, and names none itself.
    fn visit_vis_restricted(&mut self, _: &'ast VisRestricted) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments = path.segments.iter().map(|s| s.ident.to_string());
        self.add(segments.collect());
        syn::visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, found: &'ast Macro) {
        self.add_tokens(found.tokens.clone());
        syn::visit::visit_macro(self, found);
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if let Meta::List(list) = &attribute.meta {
            for token in list.tokens.clone() {
                if let TokenTree::Literal(text) = token {
                    let text = text.to_string();
                    let path = syn::parse_str::<syn::Path>(text.trim_matches('"'));
                    self.paths.extend(path.map(|path| {
                        let segments = path.segments.iter().map(|s| s.ident.to_string());
                        segments.collect()
                    }));
                }
            }
        }
        syn::visit::visit_attribute(self, attribute);
    }
}

/// The attributes of an item.
fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(i) => &i.attrs,
        Item::Enum(i) => &i.attrs,
        Item::Fn(i) => &i.attrs,
        Item::Impl(i) => &i.attrs,
        Item::Macro(i) => &i.attrs,
        Item::Mod(i) => &i.attrs,
        Item::Static(i) => &i.attrs,
        Item::Struct(i) => &i.attrs,
        Item::Trait(i) => &i.attrs,
        Item::Type(i) => &i.attrs,
        Item::Union(i) => &i.attrs,
        Item::Use(i) => &i.attrs,
        _ => &[],
    }
}
