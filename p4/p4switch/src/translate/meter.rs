//! Meters (P4Runtime 9.4).

use p4_engine::MeterConfig;
use p4runtime_proto::p4::v1::{self, DirectMeterEntry, MeterEntry, update::Type};

use super::{array::cells, table_entry};
use crate::{
    failure::Failure,
    operation::Operation,
    pipeline::{Meter, Pipeline, Rates, Table},
};

/// The meter array that an entity names.
pub(super) fn meter(pipeline: &Pipeline, id: u32) -> Result<&Meter, Failure> {
    pipeline.meter(id).ok_or_else(|| {
        Failure::invalid(format!(
            "There is no indirect meter {}",
            pipeline.describe(id)
        ))
    })
}

pub(super) fn update(
    pipeline: &Pipeline,
    change: Type,
    given: &MeterEntry,
) -> Result<Operation, Failure> {
    if change != Type::Modify {
        return Err(Failure::invalid("A meter can only be modified"));
    }
    let meter = meter(pipeline, given.meter_id)?;
    no_counters(given.counter_data.is_some())?;
    let config = given.config.as_ref();
    Ok(Operation::Meter {
        meter: meter.index,
        cells: cells(given.index.as_ref(), meter.size, &meter.name)?,
        config: config
            .map(|given| self::config(&meter.name, meter.rates, given))
            .transpose()?,
    })
}

pub(super) fn update_direct(
    pipeline: &Pipeline,
    change: Type,
    given: &DirectMeterEntry,
) -> Result<Operation, Failure> {
    if change != Type::Modify {
        return Err(Failure::invalid("A direct meter can only be modified"));
    }
    let Some(entry) = &given.table_entry else {
        return Err(Failure::invalid("The direct meter names no table entry"));
    };
    no_counters(given.counter_data.is_some())?;
    let table = table_entry::table(pipeline, entry.table_id)?;
    let rates = rates(table)?;
    Ok(Operation::DirectMeter {
        table: table.index,
        row: table_entry::row(table, entry)?,
        config: (given.config.as_ref())
            .map(|given| config(&table.name, rates, given))
            .transpose()?,
    })
}

/// What the direct meter of a table can be told.
pub(super) fn rates(table: &Table) -> Result<Rates, Failure> {
    table
        .metered
        .ok_or_else(|| Failure::invalid(format!("Table {} has no direct meter", table.name)))
}

/// Counters by colour, which this server does not have (9.4.3).
pub(super) fn no_counters(asked: bool) -> Result<(), Failure> {
    if asked {
        return Err(Failure::unimplemented(
            "Meters have no counters by colour here; leave the field out",
        ));
    }
    Ok(())
}

/// The configuration of one cell; `name` is that of the meter or its table.
pub(super) fn config(
    name: &str,
    rates: Rates,
    given: &v1::MeterConfig,
) -> Result<MeterConfig, Failure> {
    let v1::MeterConfig {
        cir,
        cburst,
        pir,
        pburst,
        eburst,
    } = given;
    let number = |given: i64, what: &str| {
        u64::try_from(given)
            .map_err(|_| Failure::invalid(format!("The {what} of {name} is negative")))
    };
    if *eburst != 0 {
        return Err(if rates == Rates::OneThreeColours {
            Failure::unimplemented(format!(
                "The excess burst of {name} is not supported: meters of bmv2 have two rates"
            ))
        } else {
            Failure::invalid(format!("Meter {name} has no excess burst (eburst)"))
        });
    }
    if rates != Rates::Two && (pir, pburst) != (cir, cburst) {
        return Err(Failure::invalid(format!(
            "Meter {name} has one rate: pir and pburst must equal cir and cburst"
        )));
    }
    if pir < cir {
        return Err(Failure::invalid(format!(
            "The peak rate of {name} ({pir}) is below its committed rate ({cir})"
        )));
    }
    Ok(MeterConfig {
        committed_rate: number(*cir, "committed rate")?,
        committed_burst: number(*cburst, "committed burst")?,
        peak_rate: number(*pir, "peak rate")?,
        peak_burst: number(*pburst, "peak burst")?,
    })
}
