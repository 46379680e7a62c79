//! Members inside of the structures in a structure, for names that the kernel's headers make with macros.

use crate::btf::{Btf, BtfError, Composite, Type};

/// The members of the structures in a structure whose names are `name` but for the beginning, as quoted paths from there:
/// `__sk_common.skc_family` for `sk_family`. `None` if the name has no beginning of its own.
pub(super) fn find_inner_members<'a>(
    btf: &Btf<'a>,
    composite: &Composite<'a>,
    name: &str,
) -> Result<Option<Vec<String>>, BtfError> {
    let Some((_, ending)) = name.split_once('_').filter(|(start, _)| !start.is_empty()) else {
        return Ok(None);
    };
    let mut paths = Vec::new();
    for member in btf.all_members(composite)? {
        let (Type::Struct(inside) | Type::Union(inside)) = btf.strip(member.type_id)?.ty else {
            continue;
        };
        let names = btf.member_names(&inside)?;
        let alike = names
            .into_iter()
            .filter(|inner| inner.split_once('_').is_some_and(|(_, end)| end == ending));
        paths.extend(alike.map(|inner| format!("`{}.{inner}`", member.name)));
    }
    Ok(Some(paths))
}
