//! Chinese, in simplified characters.

use super::{
    AccessTexts, ConsentTexts, ContinueTexts, DestinationTexts, DocumentTexts, FooterTexts, Notice, Notices,
    ReferenceTexts, SignedInTexts, Texts,
};

pub(super) static ZH: Texts = Texts {
    tag: "zh-Hans",
    consent: ConsentTexts {
        asks_for_access: ["", " 请求访问权限"],
        registered_by_operator: "此应用由本服务的运营者注册。",
        published_by: ["网站 ", " 发布了此应用"],
        under_the_name: ["，应用自称 ", "。该名称未经核实。"],
        without_name: "。",
        could_be_imitated: "您设备上的其他程序可能会冒充此应用。",
        chose_its_name: "此名称由应用自行选定，未经核实。",
        gave_no_name: "应用没有提供名称。",
        allow: "允许",
        decline: "拒绝",
        allow_with_another_account: "使用其他账号允许",
        next_sign_in: ["接下来，您将通过 ", " 登录。"],
        asked_to_share: ["将请求其提供以下信息： ", "。"],
        about_this_app: "关于此应用",
        website: "网站",
        privacy_policy: "隐私政策",
        terms: "服务条款",
        full_address: "完整地址",
        app_id: "应用 ID",
    },
    destination: DestinationTexts {
        sent_back_to: "您将返回到",
        known: "此地址是本服务已知的地址。",
        this_computer: "这是您自己电脑上的应用。只有在您刚刚亲自发起此操作时才允许。",
        app_link: ["这将打开您设备上处理 ", " 链接的应用。只有在您刚刚亲自发起此操作时才允许。"],
        unknown: "此网站不是本服务已知的网站。",
        decline_if_unknown: "如果您不认识它，请拒绝。否则它将能以您的名义进行访问。",
    },
    access: AccessTexts {
        access_to: "访问对象",
        what_it_may_do: "应用可以做什么",
        no_permission: "以您的身份使用此服务器。应用没有请求特定权限。",
        user: "知道您是谁",
        offline_access: "在您离开时保持访问，直到您或运营者终止",
    },
    signed_in: SignedInTexts {
        no_access: "此账号没有访问权限",
        let_app_use: ["允许 ", " 使用 ", " 吗？"],
        signed_in_as: ["您已登录为 ", "。"],
        not_given_access: "本服务的运营者没有授予此账号访问权限。",
        use_another_or_ask: "请使用其他账号，或咨询运营者。",
        use_another_account: "使用其他账号",
        cancel: "取消",
    },
    reference: ReferenceTexts {
        reference: "参考编号", quote_it: "寻求帮助时，请提供此代码。"
    },
    continuing: ContinueTexts {
        declined: "您已拒绝",
        gets_no_access: "应用不会获得访问权限。",
        took_too_long: "操作超时",
        not_finished_in_time: "登录未能及时完成。请返回应用，重新开始。",
        not_granted: "无法批准此请求",
        not_possible: ["应用请求了此处无法提供的内容： ", "。"],
        app_is_at: "应用的地址",
        not_been_sent: "您尚未被转到该地址。",
        return_if_known: "此地址不是本服务已知的地址。只有在您认识它时才返回，否则请关闭此页面。",
        return_to: ["返回 ", ""],
    },
    notices: Notices {
        went_wrong: Notice {
            title: "出现错误",
            what_happened: "服务器无法处理该请求。",
            what_to_do: "请从应用中重试。如果再次发生，请将下面的代码发送给本服务的运营者。",
        },
        too_many: Notice {
            title: "请求过多",
            what_happened: "来自您网络的登录次数比平常多。",
            what_to_do: "请稍等片刻，然后重试。",
        },
        unknown_app: Notice {
            title: "此应用未在此处注册",
            what_happened: "将您带到这里的应用未在此服务器上注册。其注册可能已过期。",
            what_to_do: "请返回应用，删除此连接后重新添加。应用随后会重新注册。",
        },
        bad_address: Notice {
            title: "不接受此应用的返回地址",
            what_happened: "此服务器不再将用户转到该应用注册的地址。转到该地址可能会启动其他程序或更改应答。",
            what_to_do: "请更新应用，删除此连接后重新添加。如果仍无效，请将下面的代码发送给应用的开发者。",
        },
        unavailable: Notice {
            title: "暂时不可用",
            what_happened: "服务器目前无法查询此应用。",
            what_to_do: "请稍等片刻，然后从应用中重试。",
        },
        unusable: Notice {
            title: "此请求无法使用",
            what_happened: "将您带到这里的应用发出了一个请求，此服务器无法安全地应答。",
            what_to_do: "请返回应用，重新开始。如果再次发生，请将下面的代码发送给应用的开发者。",
        },
        not_to_be_opened: Notice {
            title: "此处没有页面",
            what_happened: "此地址仅用于接收您对先前问题的回答。",
            what_to_do: "如果是应用将您带到这里，请返回应用，重新开始登录。",
        },
        forged: Notice {
            title: "此表单不属于此浏览器",
            what_happened: "您的回答不是来自此浏览器显示的页面，或者浏览器不保存 Cookie。",
            what_to_do: "请允许此网站使用 Cookie，然后返回应用，重新开始登录。",
        },
        decided: Notice {
            title: "此请求已有回答",
            what_happened: "您已经回答过此请求。每个请求只能回答一次。",
            what_to_do: "如果应用尚未连接，请返回应用，重新开始登录。",
        },
        unattended: Notice {
            title: "请亲自按下按钮",
            what_happened: "您的浏览器未确认您按下了按钮，因此尚未作出任何决定。",
            what_to_do: "请返回上一页，再次按下按钮。",
        },
        no_navigation: Notice {
            title: "此页面只能在单独的窗口中打开",
            what_happened: "另一个页面通过脚本或框架请求了此页面。",
            what_to_do: "请返回应用，重新开始登录。",
        },
        busy: Notice {
            title: "当前登录过多",
            what_happened: "服务器正在处理的登录数量已达上限。",
            what_to_do: "请等待几秒钟，然后重新加载此页面。",
        },
        lost: Notice {
            title: "无法完成此登录",
            what_happened: "它是在其他浏览器中开始的，或耗时过长，或已经完成。",
            what_to_do: "如果应用尚未连接，请返回应用，在此浏览器中重新开始登录。",
        },
        completed: Notice {
            title: "此登录已完成",
            what_happened: "每次登录只能完成一次。",
            what_to_do: "如果应用尚未连接，请返回应用，重新开始登录。",
        },
        no_page: Notice {
            title: "此处没有页面",
            what_happened: "地址可能不完整或已失效。",
            what_to_do: "如果是应用将您带到这里，请返回应用，重新开始登录。",
        },
        root_title: "这是一个登录服务",
        root_happened: [
            "当您将应用连接到使用本服务的服务器时，应用会将您带到这里。您先决定应用可以做什么，然后通过 ",
            " 登录。",
        ],
        root_to_do: "在此页面上无需任何操作。要连接应用，请从应用开始。",
    },
    documents: DocumentTexts {
        host_title: "此处不接受此应用",
        host_happened: ["本服务的运营者不接受来自以下主机的应用： ", "。"],
        host_to_do: "如果您需要此应用，请咨询本服务的运营者。",
        unavailable_title: "无法查询此应用",
        unavailable_happened: [
            "应用的说明位于 ",
            "。此服务器无法获取该文档：文档必须位于公开的 https 地址，并在五秒内以状态 200 返回，且不得重定向。",
        ],
        unavailable_to_do: "请等待一分钟，然后从应用中重试。如果再次发生，请将此页面发送给应用的开发者。",
        invalid_title: "此应用的说明有误",
        invalid_happened: ["应用的说明位于 ", "。该文档无法使用： ", "。"],
        invalid_to_do: "请将此页面发送给应用的开发者。他们必须更正该文档。",
    },
    footer: FooterTexts { help: "帮助", privacy_policy: "隐私政策" },
};
