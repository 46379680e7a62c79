//! The templates: every piece of HTML that is more than one element.

use std::sync::LazyLock;

use handlebars::Handlebars;
use serde::Serialize;

use crate::escape;

static TEMPLATES: LazyLock<Handlebars<'static>> = LazyLock::new(|| {
    let mut templates = Handlebars::new();
    templates.set_strict_mode(true);
    templates.register_escape_fn(|text| escape::html(&escape::visible_lines(text)));
    for (name, text) in [
        ("page", include_str!("../templates/page.hbs")),
        ("claim", include_str!("../templates/claim.hbs")),
        ("claims", include_str!("../templates/claims.hbs")),
        ("machines", include_str!("../templates/machines.hbs")),
        ("table", include_str!("../templates/table.hbs")),
        ("calltree", include_str!("../templates/calltree.hbs")),
        ("ledger", include_str!("../templates/ledger.hbs")),
    ] {
        // A block of HTML in Markdown ends at a blank line, and in a list or a quote each line would need its
        // prefix: so a template is one line.
        let one_line: String = text.lines().map(str::trim).collect();
        templates
            .register_template_string(name, one_line)
            .expect("the templates in this crate are well-formed, as its tests show");
    }
    templates
});

/// Renders a template to one line of HTML, every value in it escaped.
///
/// # Panics
/// If `data` lacks what the template names: a mistake in this crate, which its tests would show.
pub fn render(name: &str, data: &impl Serialize) -> String {
    TEMPLATES
        .render(name, data)
        .unwrap_or_else(|error| panic!("template {name}: {error}"))
}

/// The style sheet on one line.
pub fn style() -> &'static str {
    static STYLE: LazyLock<String> =
        LazyLock::new(|| include_str!("../templates/style.css").lines().collect());
    &STYLE
}
