-- The views of a store. `{images}` and its like stand for the committed rows of a table, one per
-- key, each with the shard it came from (`shard`). Whatever follows from the evidence is derived
-- here; the same formulas in Python are in schemas/scale.py, and a test holds the two together.

create or replace macro split_position(key, seed) as
    ('0x' || sha256(seed::varchar || ':' || key)[1:8])::bigint / 4294967296.0::double;

create or replace macro is_test(group_id, seed, test_fraction) as
    split_position(group_id, seed) < test_fraction;

create or replace view image_files as
select * from {images};

-- One row per content: where several files hold the same bytes, the first path stands for all,
-- and a group that was given stands before one that was found, and both before none.
create or replace view images as
select
    image_id, path, name, file_bytes, width_px, height_px, format, mode,
    group_id, grouped_by, perceptual_hash, 1::bigint as file_count
from image_files
where image_id not in (select image_id from internal.repeated_contents)
union all
select
    image_id,
    arg_min(path, path) as path,
    arg_min(name, path) as name,
    any_value(file_bytes) as file_bytes,
    any_value(width_px) as width_px,
    any_value(height_px) as height_px,
    any_value(format) as format,
    any_value(mode) as mode,
    arg_min(group_id, (array_position(['given', 'look_alike', 'alone'], grouped_by), group_id))
        as group_id,
    arg_min(grouped_by, (array_position(['given', 'look_alike', 'alone'], grouped_by), group_id))
        as grouped_by,
    any_value(perceptual_hash) as perceptual_hash,
    count(*) as file_count
from image_files
where image_id in (select image_id from internal.repeated_contents)
group by image_id;

-- The five logarithms are spelt out: a list is ten times slower, and there are millions of them.
create or replace view points as
with logs as (
    select
        *,
        level_logprobs[1]::double as l1,
        level_logprobs[2]::double as l2,
        level_logprobs[3]::double as l3,
        level_logprobs[4]::double as l4,
        level_logprobs[5]::double as l5,
        greatest(l1, l2, l3, l4, l5) as top
    from {points}
),
relative as (
    select
        *,
        exp(l1 - top) as e1,
        exp(l2 - top) as e2,
        exp(l3 - top) as e3,
        exp(l4 - top) as e4,
        exp(l5 - top) as e5,
        e1 + e2 + e3 + e4 + e5 as mass
    from logs
),
derived as (
    select
        *,
        (e1 + 2 * e2 + 3 * e3 + 4 * e4 + 5 * e5) / mass as logit_expectation,
        ln(mass) - (
            e1 * (l1 - top) + e2 * (l2 - top) + e3 * (l3 - top) + e4 * (l4 - top) + e5 * (l5 - top)
        ) / mass as entropy
    from relative
)
select
    image_id,
    teacher_id,
    prompt_id,
    (logit_expectation - 1) / 4 as score,
    1 - entropy / ln(5) as confidence,
    logit_expectation,
    entropy,
    exp(top) * mass as level_mass,
    [e1 / mass, e2 / mass, e3 / mass, e4 / mass, e5 / mass] as level_probs,
    level_logprobs,
    prompt_tokens,
    cached_tokens,
    shard
from derived;

create or replace view pairs as
with logits as (
    select
        *,
        (letter_logprobs_ab[1] - letter_logprobs_ab[2])::double as logit_ab,
        (letter_logprobs_ba[2] - letter_logprobs_ba[1])::double as logit_ba
    from {pairs}
),
derived as (
    select *, 1 / (1 + exp(-(logit_ab + logit_ba) / 2)) as preference_prob
    from logits
)
select
    image_a,
    image_b,
    teacher_id,
    prompt_id,
    preference_prob,
    1 + (
        case when preference_prob > 0 then preference_prob * ln(preference_prob) else 0 end
        + case when preference_prob < 1
            then (1 - preference_prob) * ln(1 - preference_prob) else 0 end
    ) / ln(2) as confidence,
    (logit_ab - logit_ba) / 2 as position_bias,
    sign(logit_ab) = sign(logit_ba) as consistent,
    (exp(letter_logprobs_ab[1]::double) + exp(letter_logprobs_ab[2]::double)
        + exp(letter_logprobs_ba[1]::double) + exp(letter_logprobs_ba[2]::double)) / 2
        as letter_mass,
    logit_ab,
    logit_ba,
    letter_logprobs_ab,
    letter_logprobs_ba,
    prompt_tokens,
    cached_tokens,
    shard
from derived;

create or replace view mos as
select *, (mos - scale_min) / (scale_max - scale_min) as mos_unit
from {mos};

create or replace view predictions as
select * from {predictions};

create or replace view rejections as
select * from {rejections};
