//! Budgets in money: how many requests one pays for, by the largest price of a request on the routes that it limits.

use std::num::NonZeroU32;

use tollgate_config::prices::{MICRO, Prices, TargetPrices};
use tollgate_config::{Code, Compiled, Diagnostic, Diagnostics, Draft, MoneyBudget, Report, Target};

use super::{Estimate, Mix, RouteBounds, State, count};

/// Sets the numbers of requests of all budgets in money. They need bounds, and bounds a bundle: that of the same project, compiled again.
///
/// # Errors
/// The mistakes of the price list.
pub(crate) fn set_budgets(
    draft: &mut Draft,
    again: impl FnOnce() -> Draft,
    own_prices: impl FnOnce() -> Result<Option<Prices>, Diagnostics>,
) -> Result<(), Diagnostics> {
    let budgets = draft.lowered().map_or_else(Vec::new, |(lowered, _)| lowered.budgets.clone());
    if budgets.is_empty() {
        return Ok(());
    }
    let own = own_prices()?;
    let is_own = own.is_some();
    let prices = own.map_or_else(Prices::built_in, Ok)?;
    let mut encoded = again().encode();
    // Without a bundle there are other mistakes, which are reported.
    let Some((compiled, _)) = encoded.compiled() else { return Ok(()) };
    let bounds = count(compiled);
    for budget in &budgets {
        let found = Budgeted::of(budget, compiled, &bounds, &prices).requests();
        let Some((_, report)) = draft.lowered() else { return Ok(()) };
        match found {
            Ok((requests, text)) => {
                if !is_own {
                    report_built_in(budget, &prices, report);
                }
                draft.set_budget(&budget.policy, requests, &text);
            }
            Err(diagnostic) => report.push(diagnostic),
        }
    }
    Ok(())
}

/// The largest price of a million requests in the worst case, in millionths of the currency.
#[must_use]
pub fn dearest(bounds: &RouteBounds, prices: &TargetPrices) -> u64 {
    let price = |usage| Estimate::per_million(prices, &Mix { hit: usage, miss: usage, hits: 0 }).total_micro;
    bounds.outcomes(State::Cold).iter().map(|(_, usage)| price(*usage)).max().unwrap_or_default()
}

/// A budget with what its requests cost.
struct Budgeted<'b> {
    budget: &'b MoneyBudget,
    prices: &'b Prices,
    /// The platform with the largest price of a million units of cost, with that price.
    dearest: Option<(Target, u64)>,
}

impl<'b> Budgeted<'b> {
    fn of(budget: &'b MoneyBudget, compiled: &Compiled, bounds: &[RouteBounds], prices: &'b Prices) -> Self {
        let whole = compiled.whole();
        let limited = whole.routes.iter().zip(bounds).filter(|(route, _)| {
            let limits = whole.policies.at(&route.settings.guard_limit).chain(whole.policies.at(&route.settings.limit));
            limits.into_iter().any(|named| *named.name == *budget.policy)
        });
        let limited: Vec<_> = limited.map(|(route, bounds)| (route.settings.cost.get(), bounds)).collect();
        let named = compiled.targets().map(|targets| targets.value.iter().copied().collect::<Vec<_>>());
        let targets = named.filter(|named| !named.is_empty()).unwrap_or_else(|| vec![Target::WorkersPaid]);
        let of_target = |target: Target| {
            let own = prices.targets.get(&target).cloned().unwrap_or_default();
            let unit = |(cost, bounds): &(u32, &RouteBounds)| dearest(bounds, &own).div_ceil(u64::from(*cost));
            (target, limited.iter().map(unit).max().unwrap_or_default())
        };
        let dearest = targets.into_iter().map(of_target).max_by_key(|(_, price)| *price);
        Self { budget, prices, dearest }
    }

    /// How many units of cost it pays for, and of what that is computed.
    fn requests(&self) -> Result<(NonZeroU32, String), Diagnostic> {
        let Self { budget: MoneyBudget { money, span, policy }, prices, dearest } = self;
        let error = |what: String| Diagnostic::error(Code::BadBudget, *span, what);
        let currency = &money.currency;
        if prices.currency != *currency {
            let what = format!("the budget of `{policy}` is in {currency}, and the prices are in {}", prices.currency);
            return Err(error(what)
                .why("nobody knows what one is worth in the other tomorrow")
                .fix(format!("write the budget in {}, or a `prices.yaml` in {currency}", prices.currency)));
        }
        let (target, price) = match dearest {
            Some((target, price)) if *price > 0 => (target, *price),
            other => {
                let target = other.map_or(Target::WorkersPaid, |(target, _)| target);
                return Err(error(format!("a request costs nothing on `{target}` by the price list"))
                    .why(format!("the budget of `{policy}` would pay for any number of requests"))
                    .fix(format!(
                        "add prices of `{target}` to `prices.yaml`, or write a number of calls such as `100000 calls`"
                    )));
            }
        };
        let requests = u128::from(money.micro) * u128::from(MICRO) / u128::from(price);
        let requests = u32::try_from(requests).unwrap_or(u32::MAX);
        let amount = |micro: u64| format!("{}.{:06}", micro / MICRO, micro % MICRO);
        let per_million =
            format!("{} {currency} a million requests on {target}, prices of {}", amount(price), prices.as_of);
        match NonZeroU32::new(requests) {
            Some(requests) => {
                let text = amount(money.micro);
                let text = text.trim_end_matches('0').trim_end_matches('.');
                Ok((requests, format!("{text} {currency} at {per_million}")))
            }
            None => Err(error(format!("the budget of `{policy}` does not pay for one request"))
                .why(format!("a request costs at most {per_million}"))
                .fix("write a larger budget")),
        }
    }
}

fn report_built_in(budget: &MoneyBudget, prices: &Prices, report: &mut Report) {
    report.push(
        Diagnostic::warning(
            Code::BadBudget,
            budget.span,
            format!("the budget of `{}` is computed with the built-in price list of {}", budget.policy, prices.as_of),
        )
        .why("prices change, and those of your contract may be others")
        .fix("write the list beside `tollgate.yaml` and check it: `tollgate cost --print-prices > prices.yaml`"),
    );
}
