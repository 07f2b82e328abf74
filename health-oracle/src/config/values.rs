//! From the text of an option to its value.

use super::options::{Form, Spec};
use crate::book::Patch;

/// Sets a rule of a patch from its text. Whether the text could be taken.
pub fn set(patch: &mut Patch, spec: &Spec, value: &str) -> bool {
    let long = number(value, spec.form);
    let short = long.and_then(|number| u32::try_from(number).ok());
    let (field, found) = match spec.name() {
        "spare_buckets" => (&mut patch.spare_buckets, long),
        "max_gap_ms" => (&mut patch.max_gap_ms, long),
        "min_buckets" => (&mut patch.min_buckets, long),
        "hold_ms" => (&mut patch.hold_ms, long),
        "settle_ms" => (&mut patch.settle_ms, long),
        "max_poll_age_ms" => (&mut patch.max_poll_age_ms, long),
        "config_grace_ms" => (&mut patch.config_grace_ms, long),
        "min_share_percent" => {
            patch.min_share_ppm = ppm_of_percent(value);
            return patch.min_share_ppm.is_some();
        }
        "loss_limit_ppm" => {
            patch.loss_limit_ppm = short;
            return short.is_some();
        }
        "qa_successes_min" => {
            patch.qa_successes_min = short;
            return short.is_some();
        }
        _ => return false,
    };
    *field = found;
    found.is_some()
}

/// A whole number in the form's range.
pub fn number(value: &str, form: Form) -> Option<u64> {
    let Form::Number(least, most) = form else { return None };
    value.parse().ok().filter(|number| (least..=most).contains(number))
}

/// Millionths of a share in percent with at most four decimals, without going through floating point.
pub fn ppm_of_percent(value: &str) -> Option<u32> {
    let (whole, decimals) = value.split_once('.').unwrap_or((value, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(decimals) || decimals.len() > 4 {
        return None;
    }
    let decimals: u32 = format!("{decimals:0<4}").parse().ok()?;
    let ppm = whole.parse::<u32>().ok()?.checked_mul(10_000)?.checked_add(decimals)?;
    (1..=1_000_000).contains(&ppm).then_some(ppm)
}

/// Whether it is the address of a web server.
pub fn is_url(value: &str) -> bool {
    ["http://", "https://"].iter().any(|scheme| value.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()))
        && !value.chars().any(|c| c.is_whitespace() || c.is_control())
}
