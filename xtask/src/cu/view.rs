//! The figures as tables, for people: on the terminal and in docs/cost.md.

use super::Costs;

/// Lamports of one SOL.
const LAMPORTS: u64 = 1_000_000_000;
/// Beginning of the rows of accounts.
const ACCOUNT: &str = "account-";
/// Beginning of the rows of single things.
const FLOOR: &str = "floor-";
/// Beginning of an instruction's figures that the runtime accounts for.
const FLOOR_PART: &str = "floor_";
/// A figure of a further subject, which is no part of the instruction's own cost.
const PER_FURTHER: &str = "per_further_subject";

/// A head and rows under it.
pub struct Table {
    /// Names of the columns; the first is on the left, the others hold numbers.
    pub head: Vec<&'static str>,
    /// The rows.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// With columns padded by spaces.
    pub fn text(&self) -> String {
        let lines: Vec<Vec<&str>> = core::iter::once(self.head.clone())
            .chain(self.rows.iter().map(|row| row.iter().map(String::as_str).collect()))
            .collect();
        let width = |column: usize| lines.iter().filter_map(|line| line.get(column)).map(|c| c.len()).max();
        let pad = |(column, cell): (usize, &&str)| {
            let width = width(column).unwrap_or_default();
            if column == 0 { format!("{cell:<width$}") } else { format!("  {cell:>width$}") }
        };
        let lines: Vec<String> =
            lines.iter().map(|line| line.iter().enumerate().map(pad).collect::<String>()).collect();
        lines.join("\n")
    }
}

/// One figure.
pub fn figure(costs: &Costs, subject: &str, name: &str) -> Option<u64> {
    costs.get(subject)?.get(name).copied()
}

/// What the runtime accounts for in an instruction, by part.
pub fn parts<'a>(costs: &'a Costs, instruction: &str) -> impl Iterator<Item = (&'a str, u64)> {
    let figures = costs.get(instruction).into_iter().flatten();
    figures
        .filter_map(|(name, cu)| Some((name.strip_prefix(FLOOR_PART)?, *cu)))
        .filter(|(name, _)| *name != PER_FURTHER)
}

/// Their sum.
pub fn floor(costs: &Costs, instruction: &str) -> u64 {
    parts(costs, instruction).map(|(_, cu)| cu).sum()
}

/// Names of the instructions: everything that costs compute units and is not a single thing.
pub fn instructions(costs: &Costs) -> impl Iterator<Item = &str> {
    costs.iter().filter(|(name, row)| row.contains_key("cu") && !name.starts_with(FLOOR)).map(|(name, _)| name.as_str())
}

/// Instructions: total, floor, the rest, and the floor's parts.
pub fn instruction_table(costs: &Costs) -> Table {
    const PARTS: [&str; 6] = ["entry", "sysvars", "log", "addresses", "calls", "memory"];
    let mut head = vec!["instruction", "total", "floor", "ours"];
    head.extend(PARTS);
    head.extend(["steps", "dearest", "its steps"]);
    let row = |name: &str| {
        let get = |figure_name: &str| text(figure(costs, name, figure_name));
        let (total, floor) = (figure(costs, name, "cu").unwrap_or_default(), floor(costs, name));
        let mut row = vec![name.to_owned(), total.to_string(), floor.to_string()];
        row.push(total.saturating_sub(floor).to_string());
        row.extend(PARTS.map(|part| get(&format!("{FLOOR_PART}{part}"))));
        row.extend([get("address_steps"), get("dearest_cu"), get("dearest_steps")]);
        row
    };
    let mut rows = Vec::new();
    for name in instructions(costs) {
        rows.push(row(name));
        if let Some(further) = figure(costs, name, PER_FURTHER) {
            let floor = figure(costs, name, &format!("{FLOOR_PART}{PER_FURTHER}")).unwrap_or_default();
            let mut row = vec![format!("{name}, per further subject"), further.to_string(), floor.to_string()];
            row.push(further.saturating_sub(floor).to_string());
            row.resize(head.len(), String::new());
            rows.push(row);
        }
    }
    Table { head, rows }
}

/// Accounts: bytes and rent.
pub fn account_table(costs: &Costs) -> Table {
    let row = |(name, row): (&String, &super::Figures)| {
        let get = |figure: &str| text(row.get(figure).copied());
        let sol = row.get("lamports").map(|lamports| sol(*lamports)).unwrap_or_default();
        Some(vec![name.strip_prefix(ACCOUNT)?.to_owned(), get("bytes"), get("empty_bytes"), get("entry_bytes"), sol])
    };
    Table { head: vec!["account", "bytes", "empty", "per entry", "SOL"], rows: costs.iter().filter_map(row).collect() }
}

/// Single things that the runtime does.
pub fn single_table(costs: &Costs) -> Table {
    let row = |(name, row): (&String, &super::Figures)| {
        Some(vec![name.strip_prefix(FLOOR)?.replace('-', " "), text(row.get("cu").copied())])
    };
    Table { head: vec!["the runtime's price of", "CU"], rows: costs.iter().filter_map(row).collect() }
}

fn text(figure: Option<u64>) -> String {
    figure.map(|figure| figure.to_string()).unwrap_or_default()
}

/// Lamports as SOL, with all nine decimals that they have.
fn sol(lamports: u64) -> String {
    format!("{}.{:09}", lamports / LAMPORTS, lamports % LAMPORTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn costs(text: &str) -> Costs {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn an_instruction_is_its_floor_and_ours() {
        let costs = costs(
            r#"{"attest":{"cu":900,"floor_entry":60,"floor_log":300,"floor_per_further_subject":9,
                "per_further_subject":190},"floor-log":{"cu":300}}"#,
        );
        assert_eq!(instructions(&costs).collect::<Vec<_>>(), ["attest"]);
        assert_eq!(floor(&costs, "attest"), 360);
        let table = instruction_table(&costs);
        assert_eq!(table.rows[0][..4], ["attest", "900", "360", "540"]);
        assert_eq!(table.rows[1][..4], ["attest, per further subject", "190", "9", "181"]);
    }

    #[test]
    fn columns_of_numbers_are_aligned_on_the_right() {
        let table = Table { head: vec!["a", "cu"], rows: vec![vec!["long".into(), "1".into()]] };
        assert_eq!(table.text(), "a     cu\nlong   1");
    }

    #[test]
    fn lamports_are_shown_as_sol() {
        assert_eq!(sol(9_952_800), "0.009952800");
        assert_eq!(sol(1_000_000_001), "1.000000001");
    }
}
