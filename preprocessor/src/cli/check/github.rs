//! Workflow commands of GitHub Actions: they make annotations at lines of a pull request.
//!
//! `::error file=…,line=…,col=…,title=…::MESSAGE`
//! (<https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>). What has to be escaped is what
//! `escapeData` and `escapeProperty` of the runner's own toolkit escape
//! (<https://github.com/actions/toolkit/blob/main/packages/core/src/command.ts>).

use super::finding::{Finding, Weight};

/// The findings, one line each.
pub fn render(findings: &[Finding]) -> String {
    findings.iter().map(format_annotation).collect()
}

fn format_annotation(finding: &Finding) -> String {
    let command = match finding.weight {
        Weight::Error => "error",
        Weight::Warning => "warning",
        Weight::Open => "notice",
    };
    let mut properties = Vec::new();
    if let Some(file) = &finding.file {
        properties.push(format!("file={}", escape_property(file)));
    }
    if let Some((line, column)) = finding.at {
        properties.push(format!("line={line},col={column}"));
    }
    properties.push(format!("title={}", escape_property(finding.rule)));
    format!(
        "::{command} {}::{}\n",
        properties.join(","),
        escape_data(&finding.message)
    )
}

fn escape_data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn escape_property(text: &str) -> String {
    escape_data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that no text of a book can begin a command of its own, or end its property.
    #[test]
    fn escapes() {
        let finding = Finding {
            weight: Weight::Error,
            rule: "claim-fail",
            message: "50% of\r\n::stop-commands::x".into(),
            file: Some("a,line=7::b.md".into()),
            at: Some((3, 1)),
        };
        assert_eq!(
            render(&[finding]),
            "::error file=a%2Cline=7%3A%3Ab.md,line=3,col=1,title=claim-fail::50%25 of%0D%0A::stop-commands::x\n"
        );
    }
}
