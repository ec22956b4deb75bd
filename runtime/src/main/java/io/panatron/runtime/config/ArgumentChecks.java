package io.panatron.runtime.config;

import io.panatron.runtime.UserError;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * What must hold between parameters of a training run, as far as it can be known before any file is
 * opened.
 */
final class ArgumentChecks {
  private ArgumentChecks() {}

  /** Checks one command's arguments and throws {@link UserError} for the first contradiction. */
  static void check(ParsedArguments arguments) {
    if (!arguments.command().equals("sft") && !arguments.command().equals("pt")) {
      return;
    }
    checkSources(arguments);
    checkReading(arguments);
    checkLength(arguments);
    checkRates(arguments);
    checkPrecision(arguments);
    checkSaving(arguments);
    if (arguments.command().equals("sft")) {
      TaskChecks.check(arguments);
    }
  }

  private static void checkSaving(ParsedArguments a) {
    refuse(
        a.flag("use_persistent_ckpt_worker") && !a.flag("async_save"),
        "--use_persistent_ckpt_worker true has no effect without --async_save true; add that or drop"
            + " it.");
    refuse(
        a.integerOrNull("save_total_limit") != null && a.value("save_retain_interval") != null,
        "--save_retain_interval and --save_total_limit are two ways to choose which checkpoints"
            + " stay; keep one of them.");
    refuse(
        a.text("save_strategy").equals("epoch") && a.flag("streaming"),
        "--save_strategy epoch needs to know how long an epoch is, which --streaming true leaves"
            + " open; take --save_strategy steps with --save_interval.");
  }

  private static void checkSources(ParsedArguments a) {
    refuse(
        a.textOrNull("model") == null && a.textOrNull("load") == null,
        "--model is required: give the folder of a Hugging Face model, or --load "
            + "with a checkpoint folder.");
    for (String name : new String[] {"model", "load", "save", "logging_level"}) {
      String text = a.textOrNull(name);
      refuse(
          text != null && text.isBlank(),
          "--%s is empty; give a value or leave it out.".formatted(name));
    }
    refuse(
        a.list("dataset").isEmpty() && a.list("cached_dataset").isEmpty(),
        "--dataset is required: give one or more data files or folders.");
    refuse(
        !(a.list("val_dataset").isEmpty() && a.list("cached_val_dataset").isEmpty())
            && a.number("split_dataset_ratio") > 0,
        ("--val_dataset and --split_dataset_ratio %s are two ways to choose "
                + "validation data; keep one of them.")
            .formatted(a.value("split_dataset_ratio")));
    refuse(
        a.command().equals("sft") && Objects.equals(a.text("truncation_strategy"), "split"),
        "--truncation_strategy split cuts texts for pt only; for sft take delete, left or right.");
  }

  private static void checkReading(ParsedArguments a) {
    refuse(
        a.flag("group_by_length")
            && !(a.flag("train_dataloader_shuffle") && a.text("dataloader_type").equals("cyclic")),
        "--group_by_length true needs --train_dataloader_shuffle true and --dataloader_type cyclic,"
            + " since it orders shuffled samples; drop one of them.");
    refuse(
        a.integerOrNull("packing_length") != null && !a.flag("packing"),
        "--packing_length %s has no effect without --packing true; add that or drop it."
            .formatted(a.value("packing_length")));
    refuse(
        a.value("token_cache") != null && !a.flag("load_from_cache_file"),
        ("--token_cache %s has no effect without --load_from_cache_file true; add that or drop"
                + " it.")
            .formatted(a.value("token_cache")));
    checkStreaming(a);
    refuse(
        a.list("interleave_prob").isEmpty()
            && !a.text("stopping_strategy").equals("first_exhausted"),
        "--stopping_strategy all_exhausted is about mixing, which --interleave_prob asks for; add"
            + " that or drop it.");
  }

  private static void checkStreaming(ParsedArguments a) {
    if (!a.flag("streaming")) {
      refuse(
          a.text("dataloader_type").equals("external"),
          "--dataloader_type external is for --streaming true; add that, or take cyclic.");
      return;
    }
    refuse(
        a.integerOrNull("train_iters") == null,
        "--streaming true needs --train_iters, since the number of rows is unknown; --max_epochs may"
            + " end the run before that.");
    String other =
        a.number("split_dataset_ratio") > 0
            ? "--split_dataset_ratio; give --val_dataset"
            : !a.list("cached_dataset").isEmpty()
                ? "--cached_dataset, which needs no streaming"
                : a.flag("load_from_cache_file")
                    ? "--load_from_cache_file, which keeps whole data sets"
                    : a.flag("group_by_length")
                        ? "--group_by_length, which needs the lengths of all samples"
                        : null;
    refuse(other != null, "--streaming true does not go with %s.".formatted(other));
  }

  private static void checkLength(ParsedArguments a) {
    refuse(
        a.integerOrNull("train_iters") == null && a.integerOrNull("max_epochs") == null,
        "Neither --train_iters nor --max_epochs says how long to train; give one of them.");
    int micro = a.integer("micro_batch_size");
    int global = a.integer("global_batch_size");
    refuse(
        global % micro != 0,
        ("--global_batch_size %d is not a multiple of --micro_batch_size %d, as "
                + "accumulating whole micro-batches needs;"
                + " change one of them.")
            .formatted(global, micro));
    Integer sequence = a.integerOrNull("seq_length");
    Integer maximum = a.integerOrNull("max_length");
    refuse(
        sequence != null && !Objects.equals(sequence, maximum),
        ("--seq_length %s must equal --max_length, which is %s; leave --seq_length "
                + "out and set --max_length.")
            .formatted(sequence, maximum));
  }

  private static void checkRates(ParsedArguments a) {
    Double peak = a.numberOrNull("lr");
    double effective = peak == null ? EffectiveDefaults.FULL_TRAINING_RATE : peak;
    refuse(
        a.number("min_lr") > effective,
        "--min_lr %s is above the peak rate --lr %s; lower it or raise --lr."
            .formatted(a.value("min_lr"), effective));
    refuse(
        a.numberOrNull("lr_warmup_fraction") != null && a.integer("lr_warmup_iters") > 0,
        "--lr_warmup_fraction and --lr_warmup_iters both set the length of the "
            + "warm-up; keep one of them.");
    Integer decay = a.integerOrNull("lr_decay_iters");
    decay = decay == null ? a.integerOrNull("train_iters") : decay;
    refuse(
        decay != null
            && a.integerOrNull("max_epochs") == null
            && a.integer("lr_warmup_iters") >= decay,
        ("--lr_warmup_iters %d leaves nothing of the %s iterations over which the "
                + "rate decays; shorten the warm-up.")
            .formatted(a.integer("lr_warmup_iters"), decay));
  }

  private static void checkPrecision(ParsedArguments a) {
    Boolean bf16 = a.flagOrNull("bf16");
    Boolean fp16 = a.flagOrNull("fp16");
    String dtype = a.textOrNull("torch_dtype");
    refuse(
        Boolean.TRUE.equals(bf16) && Boolean.TRUE.equals(fp16),
        "--bf16 true and --fp16 true exclude each other; keep one of them.");
    contradiction("bf16", bf16, "bfloat16", dtype);
    contradiction("fp16", fp16, "float16", dtype);
    checkOptimizerPrecision(a);
  }

  private static void checkOptimizerPrecision(ParsedArguments a) {
    boolean precisionAware = a.flag("use_precision_aware_optimizer");
    for (String name :
        new String[] {
          "main_grads_dtype", "main_params_dtype", "exp_avg_dtype", "exp_avg_sq_dtype"
        }) {
      refuse(
          !precisionAware && !a.text(name).equals("fp32"),
          "--%s %s needs --use_precision_aware_optimizer true; add that or drop it."
              .formatted(name, a.text(name)));
    }
    refuse(
        precisionAware && !a.text("optimizer").equals("adam"),
        "--use_precision_aware_optimizer true is for --optimizer adam, not %s; drop one of them."
            .formatted(a.text("optimizer")));
    refuse(
        precisionAware && !a.flag("use_distributed_optimizer"),
        "--use_precision_aware_optimizer true needs --use_distributed_optimizer true; drop one of"
            + " them.");
  }

  private static void contradiction(
      String flag, @Nullable Boolean value, String means, @Nullable String dtype) {
    refuse(
        value != null && dtype != null && value != dtype.equals(means),
        "--%s %s contradicts --torch_dtype %s; drop one of them.".formatted(flag, value, dtype));
  }

  private static void refuse(boolean wrong, String sentence) {
    if (wrong) {
      throw new UserError(sentence);
    }
  }
}
