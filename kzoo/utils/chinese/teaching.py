"""What `callbacks.teaching` says. A field may be left out, as English plurals are; no other may come in."""

WORDS = {
    "Watching {name}: {better} is better. It is measured on {data}.": "监控 {name}：{better}越好，在{data}上测量。",
    "larger": "越大",
    "smaller": "越小",
    "data that the network does not learn from": "网络不参与学习的数据",
    "training data": "训练集",
    "Epoch {epoch}: {what}": "第 {epoch} 个 epoch：{what}",
    "Training ended: {why}.": "训练结束：{why}。",
    "all epochs are done": "所有 epoch 均已完成",
    "No epoch had a finite value, so there is no best model.": "没有一个 epoch 得到有限的数值，因此没有最佳模型。",
    "The weights of epoch {epoch}, the best, are back in the model.": (
        "模型已恢复到最佳权重，即第 {epoch} 个 epoch 的权重。"
    ),
    "{why}.": "{why}。",
    "no validation in this epoch.": "本 epoch 没有验证。",
    "{name} is {value}, which is never the best.": "{name} 为 {value}，这不可能是最佳值。",
    "{name} {value:.4g}, the best so far. These weights are kept.": "{name} 为 {value:.4g}，目前最佳。保留这组权重。",
    "{name} {value:.4g}, the best so far (before: {before:.4g}). These weights are kept.": (
        "{name} 为 {value:.4g}，目前最佳（此前为 {before:.4g}）。保留这组权重。"
    ),
    "{name} {value:.4g}, no better than {best:.4g} of epoch {epoch}. {then}": (
        "{name} 为 {value:.4g}，没有优于第 {epoch} 个 epoch 的 {best:.4g}。{then}"
    ),
    "The learning-rate schedule needs its full length, so training goes on.": "学习率调度需要走完全程，因此训练继续。",
    "Patience: {epochs} more.": "早停还会再等 {count} 个 epoch。",
    "Patience has run out.": "早停的耐心已用完。",
    "Loss is {loss:.4g} on training data and {validation:.4g} on validation data: the network is starting to memorise "
    "its examples. More data, augmentation, dropout or a smaller network help.": (
        "损失在训练集上为 {loss:.4g}，在验证集上为 {validation:.4g}：网络开始死记样本，也就是过拟合。"
        "更多数据、数据增强、Dropout 或更小的网络会有帮助。"
    ),
    "The learning rate fell from {before:.3g} to {rate:.3g}.": "学习率从 {before:.3g} 降到 {rate:.3g}。",
    "The learning rate rose from {before:.3g} to {rate:.3g}.": "学习率从 {before:.3g} 升到 {rate:.3g}。",
    # Why training has stopped: kzoo/callbacks/saving.py and nan.py
    "{name} has not improved for {epochs}": "{name} 已连续 {count} 个 epoch 没有改善",
    "the loss became {loss} in epoch {epoch}": "损失在第 {epoch} 个 epoch 变成了 {loss}",
    "the loss became {loss} in epoch {epoch}, by step {step}": (
        "损失在第 {epoch} 个 epoch 变成了 {loss}，最迟在第 {step} 步"
    ),
    "the weight {weight} is no longer finite after epoch {epoch}": (
        "第 {epoch} 个 epoch 之后，权重 {weight} 已不是有限的数值"
    ),
    "{what}; try a smaller learning_rate, or limit the gradients with global_clipnorm=1.0": (
        "{what}；请试试更小的 learning_rate，或者用 global_clipnorm=1.0 做梯度裁剪"
    ),
}
