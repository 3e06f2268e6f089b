-- The views of a store. `{images}` and its like stand for the committed shards of a table, each
-- row with the shard it came from (`shard`). Every view keeps one row per key, chosen the same
-- way for ever, and derives here whatever follows from the evidence.
-- The same formulas in Python: schemas/scale.py; a test holds the two together.

create or replace view image_files as
select * exclude (rank, shard)
from (
    select *, row_number() over (
        partition by image_id, path
        order by (group_id = image_id), shard
    ) as rank
    from {images}
)
where rank = 1;

-- One row per content: where several files hold the same bytes, the first path stands for all,
-- and a group that was given stands before one that was not.
create or replace view images as
select
    image_id,
    arg_min(path, path) as path,
    arg_min(name, path) as name,
    any_value(file_bytes) as file_bytes,
    any_value(width_px) as width_px,
    any_value(height_px) as height_px,
    any_value(format) as format,
    any_value(mode) as mode,
    arg_min(group_id, (group_id = image_id, group_id)) as group_id,
    count(*) as file_count
from image_files
group by image_id;

create or replace view points as
with kept as (
    select * exclude (rank, shard)
    from (
        select *, row_number() over (
            partition by image_id, teacher_id, prompt_id order by shard
        ) as rank
        from {points}
    )
    where rank = 1
),
summed as (
    select
        *,
        list_max(level_logprobs)::double as top,
        list_sum(list_transform(level_logprobs, lambda l: exp(l::double - top))) as relative_mass
    from kept
),
normalised as (
    select
        * exclude (top, relative_mass),
        exp(top) * relative_mass as level_mass,
        list_transform(level_logprobs, lambda l: exp(l::double - top) / relative_mass) as level_probs
    from summed
),
derived as (
    select
        *,
        list_sum(list_transform(level_probs, lambda p, i: p * i)) as logit_expectation,
        -list_sum(list_transform(level_probs, lambda p: case when p > 0 then p * ln(p) else 0 end))
            as entropy
    from normalised
)
select
    image_id,
    teacher_id,
    prompt_id,
    (logit_expectation - 1) / 4 as score,
    1 - entropy / ln(5) as confidence,
    logit_expectation,
    entropy,
    level_mass,
    level_probs,
    level_logprobs,
    prompt_tokens,
    cached_tokens
from derived;

create or replace view pairs as
with kept as (
    select * exclude (rank, shard)
    from (
        select *, row_number() over (
            partition by image_a, image_b, teacher_id, prompt_id order by shard
        ) as rank
        from {pairs}
    )
    where rank = 1
),
logits as (
    select
        *,
        (letter_logprobs_ab[1] - letter_logprobs_ab[2])::double as logit_ab,
        (letter_logprobs_ba[2] - letter_logprobs_ba[1])::double as logit_ba
    from kept
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
    cached_tokens
from derived;

create or replace view mos as
select
    * exclude (rank, shard),
    (mos - scale_min) / (scale_max - scale_min) as mos_unit
from (
    select *, row_number() over (partition by image_id, source order by shard) as rank
    from {mos}
)
where rank = 1;

create or replace view predictions as
select * exclude (rank, shard)
from (
    select *, row_number() over (
        partition by image_id, run_id, student order by shard
    ) as rank
    from {predictions}
)
where rank = 1;

create or replace view rejections as
select * exclude (rank, shard)
from (
    select *, row_number() over (partition by path, stage, reason order by shard) as rank
    from {rejections}
)
where rank = 1;
