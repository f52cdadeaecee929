//! Finds every SQL text that the sources pass to sqlx by parsing the sources, so that new statements need no
//! registration.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};
use syn::{
    Attribute, Expr, ExprCall, ExprMethodCall, File, ImplItemFn, Item, ItemFn, ItemMacro, ItemMod, Lit,
    Macro, Token,
    parse::Parser,
    punctuated::Punctuated,
    visit::{self, Visit},
};

/// sqlx's functions whose first argument is SQL.
const QUERIES: [&str; 10] = [
    "query",
    "query_as",
    "query_scalar",
    "query_with",
    "query_as_with",
    "query_scalar_with",
    "raw_sql",
    "AssertSqlSafe",
    "QueryBuilder",
    "SqlStr",
];
/// Methods of a connection that take SQL.
const METHODS: [&str; 8] =
    ["execute", "execute_many", "fetch", "fetch_all", "fetch_many", "fetch_one", "fetch_optional", "prepare"];

/// A statement and its place.
pub struct Found {
    /// The module and the function, for example `runs::list`.
    pub place: String,
    /// None: the text is built at run time.
    pub sql: Option<String>,
}

/// All statements below `folder`, except those of tests.
pub fn statements(folder: &Path) -> Vec<Found> {
    let files: Vec<(String, File)> = sources(folder)
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let module = path.strip_prefix(folder).unwrap().with_extension("");
            let module = module.to_str().unwrap().replace(std::path::MAIN_SEPARATOR, "::");
            (module, syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
        })
        .collect();
    let mut texts = SourceTexts::default();
    for (_, file) in &files {
        texts.learn(file);
    }
    let mut found = Vec::new();
    for (module, file) in &files {
        let mut collector = Collector { module, function: String::new(), texts: &texts, found: &mut found };
        collector.visit_file(file);
    }
    found
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The constants and macros that SQL texts use.
#[derive(Default)]
struct SourceTexts {
    constants: HashMap<String, Expr>,
    /// By name: the names of the parameters, and the body.
    macros: HashMap<String, (Vec<String>, proc_macro2::TokenStream)>,
}

impl SourceTexts {
    fn learn(&mut self, file: &File) {
        for item in &file.items {
            match item {
                Item::Const(item) => {
                    self.constants.insert(item.ident.to_string(), (*item.expr).clone());
                }
                Item::Macro(ItemMacro { ident: Some(name), mac, .. }) => {
                    let arm = mac.tokens.clone().into_iter().collect::<Vec<_>>();
                    // `(parameters) => { body }`: these macros have one arm.
                    let [
                        proc_macro2::TokenTree::Group(parameters),
                        _,
                        _,
                        proc_macro2::TokenTree::Group(body),
                        ..,
                    ] = &arm[..]
                    else {
                        continue;
                    };
                    let tokens: Vec<_> = parameters.stream().into_iter().collect();
                    let named = tokens.windows(2).filter(|pair| pair[0].to_string() == "$");
                    let named = named.map(|pair| pair[1].to_string()).collect();
                    self.macros.insert(name.to_string(), (named, body.stream()));
                }
                _ => {}
            }
        }
    }

    fn text(&self, expression: &Expr) -> Option<String> {
        match expression {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Str(text) => Some(text.value()),
                _ => None,
            },
            Expr::Path(path) => self.text(self.constants.get(&path.path.get_ident()?.to_string())?),
            Expr::Macro(call) => self.expanded(&call.mac),
            Expr::Group(inner) => self.text(&inner.expr),
            Expr::Paren(inner) => self.text(&inner.expr),
            _ => None,
        }
    }

    fn expanded(&self, call: &Macro) -> Option<String> {
        let arguments = Punctuated::<Expr, Token![,]>::parse_terminated.parse2(call.tokens.clone()).ok()?;
        let name = call.path.segments.last()?.ident.to_string();
        if name == "concat" {
            return arguments.iter().map(|part| self.text(part)).collect();
        }
        let (parameters, body) = self.macros.get(&name)?;
        let values: HashMap<_, _> =
            parameters.iter().cloned().zip(arguments.iter().map(quote::ToTokens::to_token_stream)).collect();
        self.text(&syn::parse2(substituted(body.clone(), &values)).ok()?)
    }
}

fn substituted(
    body: proc_macro2::TokenStream,
    values: &HashMap<String, proc_macro2::TokenStream>,
) -> proc_macro2::TokenStream {
    let mut written = proc_macro2::TokenStream::new();
    let mut tokens = body.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            proc_macro2::TokenTree::Punct(sign) if sign.as_char() == '$' => {
                let name = tokens.next().map(|name| name.to_string()).unwrap_or_default();
                written.extend(values.get(&name).cloned().unwrap_or_default());
            }
            proc_macro2::TokenTree::Group(group) => {
                let inner = substituted(group.stream(), values);
                let group = proc_macro2::Group::new(group.delimiter(), inner);
                written.extend([proc_macro2::TokenTree::Group(group)]);
            }
            token => written.extend([token]),
        }
    }
    written
}

struct Collector<'a> {
    module: &'a str,
    function: String,
    texts: &'a SourceTexts,
    found: &'a mut Vec<Found>,
}

impl Collector<'_> {
    fn take(&mut self, sql: Option<String>) {
        self.found.push(Found { place: format!("{}::{}", self.module, self.function), sql });
    }

    fn within(&mut self, name: &syn::Ident, visit: impl FnOnce(&mut Self)) {
        let outer = std::mem::replace(&mut self.function, name.to_string());
        visit(self);
        self.function = outer;
    }
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg") && attribute.parse_args::<syn::Ident>().is_ok_and(|of| of == "test")
    })
}

impl<'ast> Visit<'ast> for Collector<'_> {
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        if !is_test(&item.attrs) {
            self.within(&item.sig.ident, |this| visit::visit_item_fn(this, item));
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        self.within(&item.sig.ident, |this| visit::visit_impl_item_fn(this, item));
    }

    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        if let Expr::Path(path) = &*call.func
            && path.path.segments.iter().any(|segment| QUERIES.iter().any(|name| segment.ident == name))
            // `query(AssertSqlSafe(…))` is one statement.
            && !matches!(call.args.first(), Some(Expr::Call(_)))
        {
            self.take(call.args.first().and_then(|text| self.texts.text(text)));
        }
        visit::visit_expr_call(self, call);
    }

    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        if METHODS.iter().any(|name| call.method == name)
            && let Some(text) = call.args.first().and_then(|text| self.texts.text(text))
        {
            self.take(Some(text));
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        let name = call.path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default();
        if name.starts_with("query") {
            self.take(None);
        }
        // The content of `vec![…]`, `select! {…}` and similar macros is not parsed: no SQL runs there.
        visit::visit_macro(self, call);
    }
}
